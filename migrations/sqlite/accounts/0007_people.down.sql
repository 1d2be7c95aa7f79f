DROP TABLE familiar_networks;
DROP TABLE invites;
DROP TABLE setup_token;
