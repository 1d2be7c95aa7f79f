%% The peer that everything about supervision is measured against: `supervisor` with `one_for_one`, children are `gen_server`s.
%%
%% Started as `erl -noinput -kernel logger_level none -pa DIR -run otp_bench main MEASURE COUNT`; prints one line of JSON. The
%% measures are those of `drive.rs`, step by step. A child is reached by its registered name where it is to be found again
%% after a restart, and by its pid elsewhere.
-module(otp_bench).
-behaviour(gen_server).

-export([main/1]).
-export([start_child/2, init/1, handle_call/3, handle_cast/2]).

-define(LIMIT_MS, 5000).
-define(BLOCK, 100).
-define(WARM_CALLS, 50000).
-define(WARM_CHILDREN, 1000).
-define(CALM_MS, 500).

main([Measure, Count]) ->
    {Worker, Monitor} = spawn_monitor(fun() ->
        measure(Measure, list_to_integer(Count))
    end),
    receive
        {'DOWN', Monitor, process, Worker, normal} ->
            halt(0);
        {'DOWN', Monitor, process, Worker, Reason} ->
            io:format("~p~n", [Reason]),
            halt(1)
    end.

measure("spawn", Count) ->
    Warm = supervisor(),
    _ = open(Warm, ?WARM_CHILDREN, unnamed),
    Before = settled(),
    Begin = now_ns(),
    _ = open(Warm, Count, unnamed),
    Took = now_ns() - Begin,
    Bytes = settled() - Before,
    io:format("{\"count\":~b,\"nanos\":~b,\"bytes\":~b}~n", [Count, Took, Bytes]);
measure("crash-" ++ Kind, Blocks) ->
    How = list_to_atom(Kind),
    _ = block(How),
    print([Took || _ <- lists:seq(1, Blocks), Took <- block(How)]);
measure("storm", Times) ->
    _ = storm(),
    print([storm() || _ <- lists:seq(1, Times)]);
measure("calls", Count) ->
    [Child] = open(supervisor(), 1, unnamed),
    calls(Child, ?WARM_CALLS),
    Begin = now_ns(),
    calls(Child, Count),
    io:format("{\"count\":~b,\"nanos\":~b}~n", [Count, now_ns() - Begin]);
measure("hung", Asks) ->
    [Child] = open(supervisor(), 1, unnamed),
    gen_server:cast(Child, {hang, self()}),
    receive hung -> ok end,
    %% Where the times go is there before memory is looked at.
    Times = atomics:new(Asks, []),
    Before = resident(),
    ask_often(Child, Times, Asks),
    Grown = resident() - Before,
    Sorted = lists:sort([atomics:get(Times, Index) || Index <- lists:seq(1, Asks)]),
    io:format("{\"asks\":~b,\"refused\":0,\"bytes\":~b,\"p50\":~b,\"p99\":~b}~n", [
        Asks, Grown, rank(Sorted, Asks, 500), rank(Sorted, Asks, 990)
    ]).

%% The times of as many first crashes as a block has children.
block(How) ->
    Supervisor = supervisor(),
    Children = open(Supervisor, ?BLOCK, named),
    Times = [crash_to_reply(Child, How) || Child <- Children],
    close(Supervisor),
    Times.

crash_to_reply(Child, How) ->
    Before = ping(Child),
    Begin = now_ns(),
    crash(Child, How),
    serves(Child, Before),
    now_ns() - Begin.

storm() ->
    Supervisor = supervisor(),
    Children = [{Child, ping(Child)} || Child <- open(Supervisor, ?BLOCK, named)],
    Begin = now_ns(),
    _ = [crash(Child, panic) || {Child, _} <- Children],
    _ = [serves(Child, Before) || {Child, Before} <- Children],
    Took = now_ns() - Begin,
    close(Supervisor),
    Took.

%% Until another incarnation answers.
serves(Child, Before) ->
    case ping(Child) of
        Now when is_integer(Now), Now =/= Before ->
            ok;
        _ ->
            erlang:yield(),
            serves(Child, Before)
    end.

calls(_Child, 0) ->
    ok;
calls(Child, Left) ->
    _ = gen_server:call(Child, ping, ?LIMIT_MS),
    calls(Child, Left - 1).

%% A call that waits no longer than it takes to put the request into the queue.
ask_often(_Child, _Times, 0) ->
    ok;
ask_often(Child, Times, Left) ->
    Begin = now_ns(),
    timeout = try gen_server:call(Child, ping, 0) catch exit:{timeout, _} -> timeout end,
    atomics:put(Times, Left, now_ns() - Begin),
    ask_often(Child, Times, Left - 1).

ping(Child) ->
    try gen_server:call(Child, ping, ?LIMIT_MS) catch exit:_ -> down end.

crash(Child, kill) ->
    exit(whereis(Child), kill);
crash(Child, How) ->
    gen_server:cast(Child, How).

supervisor() ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, supervisor),
    Supervisor.

open(Supervisor, Count, Naming) ->
    Starts = starts(),
    [open_one(Supervisor, Naming, Index, Starts) || Index <- lists:seq(1, Count)].

open_one(Supervisor, Naming, Index, Starts) ->
    Name = name(Naming, Index),
    {ok, Pid} = supervisor:start_child(Supervisor, #{
        id => {Naming, erlang:unique_integer()},
        start => {?MODULE, start_child, [Name, Starts]},
        restart => permanent,
        shutdown => brutal_kill
    }),
    case Name of
        none -> Pid;
        _ -> Name
    end.

name(unnamed, _Index) -> none;
name(named, Index) -> list_to_atom("child_" ++ integer_to_list(Index)).

close(Supervisor) ->
    unlink(Supervisor),
    Monitor = monitor(process, Supervisor),
    exit(Supervisor, shutdown),
    receive {'DOWN', Monitor, process, Supervisor, _} -> ok end.

%% Counts the starts of all children: a number names an incarnation.
starts() ->
    case persistent_term:get(?MODULE, none) of
        none ->
            Starts = atomics:new(1, []),
            persistent_term:put(?MODULE, Starts),
            Starts;
        Starts ->
            Starts
    end.

start_child(none, Starts) -> gen_server:start_link(?MODULE, {child, Starts}, []);
start_child(Name, Starts) -> gen_server:start_link({local, Name}, ?MODULE, {child, Starts}, []).

init(supervisor) ->
    %% Far above what is measured: its limit would end the supervisor with all children.
    {ok, {#{strategy => one_for_one, intensity => 1000000, period => 1}, []}};
init({child, Starts}) ->
    {ok, atomics:add_get(Starts, 1, 1)}.

handle_call(ping, _From, Number) ->
    {reply, Number, Number}.

handle_cast(error, Number) ->
    {stop, told_to_fail, Number};
handle_cast(panic, _Number) ->
    error(told_to_panic);
handle_cast({hang, Observer}, _Number) ->
    Observer ! hung,
    receive after infinity -> ok end.

now_ns() ->
    erlang:monotonic_time(nanosecond).

%% Resident bytes once they have stopped to change.
settled() ->
    garbage_collect(),
    settled(resident(), 20).

settled(Last, 0) ->
    Last;
settled(Last, Left) ->
    receive after ?CALM_MS -> ok end,
    case resident() of
        Last -> Last;
        Other -> settled(Other, Left - 1)
    end.

resident() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [KiB]} = re:run(Status, "VmRSS:\\s+(\\d+)", [{capture, all_but_first, list}]),
    list_to_integer(KiB) * 1024.

rank(Sorted, Count, Permille) ->
    lists:nth(max(1, (Count * Permille + 999) div 1000), Sorted).

print(Times) ->
    Texts = lists:join(",", [integer_to_list(Time) || Time <- Times]),
    io:format("{\"nanos\":[~s]}~n", [Texts]).
