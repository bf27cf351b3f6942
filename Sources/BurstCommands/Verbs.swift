package import ArgumentParser
import BurstClient
import BurstEngine
import BurstModel
import BurstWire

/// `burst` and its verbs.
package struct Burst: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "burst",
        abstract: "Runs jobs with burst buffers on this machine, and shows what becomes of their data.",
        discussion: """
            Talks to burstd over its socket: --socket, else BURST_SOCKET, else $XDG_RUNTIME_DIR/burst/burstd.sock where
            that exists, else /run/burst/burstd.sock.

            EXAMPLES
              burst run job.sh                   submit, show its output, exit with its status
              burst submit --bb='#BB_LUA pool=nvme capacity=4GB' job.sh
              burst queue
              burst show burst
              burst staging --follow             how far copies into and out of buffers are
              burst trace --follow               every call of a hook as it ends
              burst cancel --hurry 7             end job 7 and LOSE what is not staged out

            Under the names sbatch, scancel, scontrol and squeue (burst install-links FOLDER) it takes their options.
            """,
        version: "burst \(Invocation.version)",
        subcommands: [
            Submit.self, Run.self, Wait.self, Cancel.self, Hold.self, Release.self, Requeue.self, Queue.self,
            ShowVerb.self, Staging.self, Retry.self, ThrottleVerb.self, AccessVerb.self, Trace.self, HistoryVerb.self,
            Reconfigure.self, Shutdown.self, Fsck.self,
            Pool.self,
            InstallLinks.self,
        ])

    package init() {}

    /// What the verbs run in; tests put theirs in its place.
    @TaskLocal static var current: Invocation?
}

/// Options that every verb has.
struct CommonOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Where burstd listens.", valueName: "PATH"))
    var socket: String?
    @Flag(help: "Print JSON.")
    var json = false

    var invocation: Invocation {
        var invocation = Burst.current ?? Invocation.process(name: "burst", arguments: [])
        if let socket { invocation.socket = socket }
        return invocation
    }

    /// Asks; what goes wrong is one line and exit status 1.
    func ask(
        _ question: Question.Ask, body: [UInt8] = [], seconds: Int? = BurstConnection.answerSeconds
    ) throws -> (answer: Answer, body: [UInt8]) {
        let invocation = invocation
        let answer: Answer
        let text: [UInt8]
        do throws(ClientError) {
            (answer, text) = try invocation.ask(question, body: body, seconds: seconds)
        } catch {
            invocation.console.complain("burst: \(error.advice)")
            throw ExitCode(1)
        }
        if case .refused(_, let code, let text, let notes) = answer {
            for note in notes { invocation.console.complain("burst: \(note)") }
            invocation.console.complain("burst: \(text)")
            if json { JSONLine.refusal(code, text, invocation.console) }
            throw ExitCode(1)
        }
        return (answer, text)
    }

    /// Asks for something to be done with jobs.
    func act(_ command: Command) throws {
        let invocation = invocation
        for job in command.jobs where !Scancel.isJob(job) {
            throw ValidationError("\(job) is no job id; write 7, 7_3 or 7_[1-3]")
        }
        guard case .done(_, let outcomes) = try ask(.command(command)).answer else { return }
        if json { JSONLine.outcomes(outcomes, invocation.console) }
        var failed = false
        for outcome in outcomes where outcome.code != 0 || !outcome.text.isEmpty {
            failed = true
            if !json { invocation.console.complain("burst: job \(outcome.shown): \(outcome.text)") }
        }
        if failed { throw ExitCode(1) }
    }
}

/// Short documents about what was done.
enum JSONLine {
    static func print(_ console: Console, _ content: (inout JSONWriter) -> Void) {
        var writer = JSONWriter(pretty: false)
        writer.object(content)
        console.out(writer.bytes + [10])
    }

    static func refusal(_ code: Int32, _ text: String, _ console: Console) {
        print(console) { object in
            object.field("error", text)
            object.field("code", code)
        }
    }

    static func outcomes(_ outcomes: [Outcome], _ console: Console) {
        var writer = JSONWriter(pretty: false)
        writer.objects(outcomes) { object, outcome in
            object.field("job_id", outcome.job)
            object.field("id", outcome.shown)
            object.field("code", outcome.code)
            object.field("error", outcome.text.isEmpty ? nil : outcome.text)
        }
        console.out(writer.bytes + [10])
    }

    /// Documents of lists in one object.
    static func joined(_ parts: [(key: String, body: [UInt8])]) -> [UInt8] {
        var pieces: [[UInt8]] = []
        for (key, body) in parts {
            var text = body[...]
            while text.last == 10 { text.removeLast() }
            if text.first == UInt8(ascii: "{") {
                pieces.append(Array(text.dropFirst().dropLast()))
            } else {
                pieces.append(Array("\"\(key)\":".utf8) + text)
            }
        }
        return [UInt8(ascii: "{")] + pieces.joined(separator: [UInt8(ascii: ",")]) + Array("}\n".utf8)
    }
}

extension Burst {
    /// The words behind `submit` and `run` are sbatch's, but for our own two options.
    struct ScriptArguments {
        var options: CommonOptions
        var words: [String] = []

        init(_ arguments: [String], _ options: CommonOptions) throws {
            self.options = options
            var rest = arguments[...]
            while let word = rest.popFirst() {
                if word == "--json" {
                    self.options.json = true
                } else if word == "--socket" {
                    guard let path = rest.popFirst() else { throw ValidationError("--socket needs a path") }
                    self.options.socket = path
                } else if word.hasPrefix("--socket=") {
                    self.options.socket = String(word.dropFirst(9))
                } else if word == "--" || !word.hasPrefix("-") || word == "-" {
                    words.append(word)
                    words += rest
                    break
                } else {
                    words.append(word)
                    // An option's value is not a script.
                    if word.count == 2 || (word.hasPrefix("--") && !word.contains("=")), let next = rest.first,
                        Self.takesValue(word), !next.hasPrefix("--socket")
                    {
                        words.append(next)
                        rest.removeFirst()
                    }
                }
            }
        }

        private static func takesValue(_ word: String) -> Bool {
            (try? SbatchOptions.given(arguments: [word])) == nil
        }

        /// Submits, as `burst VERB`; what is refused is printed.
        func submit(verb: String) throws -> UInt32 {
            var invocation = options.invocation
            invocation.arguments = words
            var order: BatchOrder
            do throws(BatchOrder.Fault) {
                order = try BatchOrder(invocation, now: Invocation.now(), zone: .client)
            } catch {
                for line in error.lines { invocation.console.complain("burst: \(line)") }
                throw ExitCode(1)
            }
            order.submission.submitLine = (["burst", verb] + words).joined(separator: " ")
            let (answer, _) = try options.ask(
                .submit(order.submission), body: order.script, seconds: Invocation.hookSeconds)
            guard case .submitted(_, let job, let notes) = answer else { return 0 }
            for note in notes { invocation.console.complain("burst: \(note)") }
            return job
        }
    }

    struct Submit: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Submit a batch script; print its job id.",
            discussion: """
                Takes sbatch's options. EXAMPLES
                  burst submit job.sh
                  burst submit -J first --bbf=buffer.txt -t 10 job.sh
                  echo '#!/bin/sh' | burst submit -
                """)
        @OptionGroup var options: CommonOptions
        @Argument(parsing: .captureForPassthrough, help: "sbatch's options, then the script or -.")
        var arguments: [String] = []

        func run() throws {
            if arguments.contains("--help") || arguments.contains("-h") { throw CleanExit.helpRequest(self) }
            let script = try ScriptArguments(arguments, options)
            let job = try script.submit(verb: "submit")
            let console = script.options.invocation.console
            if script.options.json {
                JSONLine.print(console) { $0.field("job_id", job) }
            } else {
                console.print("\(job)")
            }
        }
    }

    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Submit a batch script, print what it prints, exit with its status.",
            discussion: """
                On a terminal a line below shows how far its data is. Ctrl-C twice cancels the job.
                EXAMPLE
                  burst run --bb='#BB_LUA pool=nvme capacity=4GB' job.sh
                """)
        @OptionGroup var options: CommonOptions
        @Argument(parsing: .captureForPassthrough, help: "sbatch's options, then the script or -.")
        var arguments: [String] = []

        func run() throws {
            if arguments.contains("--help") || arguments.contains("-h") { throw CleanExit.helpRequest(self) }
            let script = try ScriptArguments(arguments, options)
            JobWatch.countInterruptions()
            let job = try script.submit(verb: "run")
            let invocation = script.options.invocation
            if !script.options.json { invocation.console.complain("burst: job \(job)") }
            try Burst.end(
                JobWatch.wait(
                    job, invocation, untilStagedOut: true, streams: !script.options.json, cancelsOnInterrupt: true),
                job, script.options)
        }
    }

    static func end(_ end: JobWatch.End, _ job: UInt32, _ options: CommonOptions) throws {
        let console = options.invocation.console
        if case .ended(let status, let state, let buffer) = end {
            if options.json {
                JSONLine.print(console) { object in
                    object.field("job_id", job)
                    object.field("job_state", state)
                    object.field("buffer_state", buffer)
                    object.field("exit_code", status >> 8 & 0xff)
                    object.field("signal", status & 0x7f)
                }
            } else if end.exitStatus != 0 {
                console.complain("burst: job \(job): \(state), exit code \(status >> 8 & 0xff):\(status & 0x7f)")
            }
        }
        throw ExitCode(end.exitStatus)
    }

    struct Wait: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Wait for a job's end; exit with its status.",
            discussion: "EXAMPLE\n  burst wait --staged-out 7")
        @OptionGroup var options: CommonOptions
        @Flag(help: "Wait until its data is out and its buffer is gone.")
        var stagedOut = false
        @Argument(help: ArgumentHelp("The job.", valueName: "ID"))
        var job: UInt32

        func run() throws {
            JobWatch.countInterruptions()
            try Burst.end(JobWatch.wait(job, options.invocation, untilStagedOut: stagedOut), job, options)
        }
    }

    struct Cancel: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End jobs. Data of those that ran is staged out first.",
            discussion: "EXAMPLES\n  burst cancel 7 8_3\n  burst cancel --hurry 7     what is not staged out is LOST")
        @OptionGroup var options: CommonOptions
        @Flag(help: "Do not stage out: the data is LOST.")
        var hurry = false
        @Argument(help: ArgumentHelp("Jobs, tasks: 7, 7_3, 7_[1-3].", valueName: "ID"))
        var jobs: [String]

        func run() throws {
            var command = Command(.cancel, jobs: jobs.flatMap(OptionReader.parts))
            command.hurry = hurry
            try options.act(command)
        }
    }

    struct Hold: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Keep waiting jobs from running.")
        @OptionGroup var options: CommonOptions
        @Argument(help: ArgumentHelp("Jobs.", valueName: "ID"))
        var jobs: [String]
        func run() throws { try options.act(Command(.hold, jobs: jobs.flatMap(OptionReader.parts))) }
    }

    struct Release: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let held jobs run; stage anew after a failure.")
        @OptionGroup var options: CommonOptions
        @Argument(help: ArgumentHelp("Jobs.", valueName: "ID"))
        var jobs: [String]
        func run() throws { try options.act(Command(.release, jobs: jobs.flatMap(OptionReader.parts))) }
    }

    struct Requeue: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Run jobs again from the beginning.")
        @OptionGroup var options: CommonOptions
        @Flag(help: "And hold them.")
        var hold = false
        @Argument(help: ArgumentHelp("Jobs.", valueName: "ID"))
        var jobs: [String]
        func run() throws {
            try options.act(Command(hold ? .requeuehold : .requeue, jobs: jobs.flatMap(OptionReader.parts)))
        }
    }

    struct Queue: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List jobs, with the states of their buffers.",
            discussion: "EXAMPLES\n  burst queue\n  burst queue --all --user alice --json")
        @OptionGroup var options: CommonOptions
        @Flag(help: "Those that have ended too.")
        var all = false
        @Option(help: "Only this user's.")
        var user: String?
        @Argument(help: ArgumentHelp("Only these jobs.", valueName: "ID"))
        var jobs: [String] = []

        static let fields =
            "JobArrayID:12 ,Partition:9 ,Name:16 ,UserName:10 ,State:12 ,BurstBufferState:12 ,TimeUsed:.10 ,ReasonList:"

        func run() throws {
            if options.json {
                options.invocation.console.out(try options.ask(.list(.jobs)).body)
                return
            }
            var query = Show.Queue()
            query.fields = Self.fields
            query.jobs = jobs.flatMap(OptionReader.parts)
            query.users = user.map { [$0] } ?? []
            query.states = all ? ["all"] : []
            options.invocation.console.out(try options.ask(.show(.queue(query))).body)
        }
    }

    struct ShowVerb: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract: "Show burst, job, bbstat, dwstat, config or reservation, as scontrol does.",
            discussion:
                "EXAMPLES\n  burst show burst\n  burst show -v burst\n  burst show job 7\n  burst show bbstat sessions")
        @OptionGroup var options: CommonOptions
        @Flag(name: [.customShort("o"), .customLong("oneliner")], help: "A record in one line.")
        var oneLine = false
        @Flag(name: .shortAndLong, help: "burst: account, partition and QOS too.")
        var verbose = false
        @Argument(help: ArgumentHelp("burst, job, bbstat, dwstat, config or reservation.", valueName: "WHAT"))
        var what: String
        @Argument(help: ArgumentHelp("A job, a reservation, arguments of the status hook.", valueName: "WORD"))
        var words: [String] = []

        func run() throws {
            let console = options.invocation.console
            func listed(_ lists: [List]) throws {
                let parts = try lists.map { ($0.rawValue, try options.ask(.list($0)).body) }
                console.out(JSONLine.joined(parts))
            }
            func shown(_ show: Show, seconds: Int = BurstConnection.answerSeconds) throws {
                console.out(try options.ask(.show(show), seconds: seconds).body)
            }
            let begins = Scontrol.Run.begins
            if begins(what, "burstbuffer", 2) {
                if options.json { return try listed([.pools, .buffers, .users]) }
                try shown(.burst(oneLine: oneLine, verbose: verbose))
            } else if begins(what, "jobs", 1) {
                if options.json { return try listed([.jobs]) }
                try shown(.jobs(id: words.first, oneLine: oneLine))
            } else if begins(what, "bbstat", 2) || begins(what, "dwstat", 2) {
                let word = begins(what, "bbstat", 2) ? "bbstat" : "dwstat"
                try shown(.status(word: word, arguments: words), seconds: Invocation.hookSeconds)
            } else if begins(what, "config", 3) {
                if options.json { return try listed([.config]) }
                try shown(.config)
            } else if begins(what, "reservations", 3) {
                if options.json { return try listed([.reservations]) }
                try shown(.reservations(name: words.first, oneLine: oneLine))
            } else {
                throw ValidationError(
                    "\(what) cannot be shown; write burst, job, bbstat, dwstat, config or reservation")
            }
        }
    }

    struct Trace: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Show calls of hooks: time, job, function, arguments, process, duration, answer, what it printed.",
            discussion: "EXAMPLES\n  burst trace 7\n  burst trace --follow\n  burst trace --last 1000 --json")
        @OptionGroup var options: CommonOptions
        @Flag(help: "And those that come, until Ctrl-C.")
        var follow = false
        @Flag(help: "With --follow: a line when a call begins, too.")
        var starts = false
        @Option(help: "At most so many of the past.")
        var last = 100
        @Argument(help: ArgumentHelp("Only of this job.", valueName: "JOB"))
        var job: UInt32?

        func run() throws {
            let invocation = options.invocation
            let console = invocation.console
            func show(_ line: some Sequence<UInt8>, isNews: Bool) {
                let bytes = Array(line)
                guard !bytes.isEmpty else { return }
                if options.json { return console.out(bytes + (bytes.last == 10 ? [] : [10])) }
                guard let call = History.read(History.Call.self, bytes) else {
                    return console.complain(
                        "burst: a call that cannot be read: \(String(decoding: bytes, as: UTF8.self))")
                }
                if isNews, call.outcome == nil, !starts { return }
                console.print(History.line(call, zone: .client))
            }
            do throws(ClientError) {
                let connection = try invocation.connect()
                defer { connection.close() }
                // News may come before the past; a call is told once.
                var early: [[UInt8]] = []
                let (answer, body) = try connection.ask(.trace(job: job, follow: follow, last: last)) { message in
                    if case .push(.call) = message.answer { early.append(message.body) }
                }
                if case .refused(_, _, let text, _) = answer {
                    console.complain("burst: \(text)")
                    throw ClientError(.refused, text)
                }
                for line in body.split(separator: 10) { show(line, isNews: false) }
                for line in early { show(line, isNews: true) }
                while follow {
                    let message = try connection.next()
                    if case .push(.call) = message.answer { show(message.body, isNews: true) }
                }
            } catch {
                if error.kind != .refused { console.complain("burst: \(error.advice)") }
                throw ExitCode(1)
            }
        }
    }

    struct HistoryVerb: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "history",
            abstract: "Show changes of jobs and buffers, and who asked for what.",
            discussion: """
                EXAMPLES
                  burst history 7
                  burst history --since 2h
                  burst history --tables
                  burst history --sql "SELECT function, count(*), max(duration_us) FROM calls GROUP BY 1"
                """)
        @OptionGroup var options: CommonOptions
        @Option(help: ArgumentHelp("Only from then on: 90s, 30m, 2h, 1d, 2026-12-24T18:00.", valueName: "TIME"))
        var since: String?
        @Option(help: ArgumentHelp("One question to the history's tables; operators only.", valueName: "SELECT"))
        var sql: String?
        @Flag(help: "The history's tables and what they mean.")
        var tables = false
        @Argument(help: ArgumentHelp("Only of this job.", valueName: "JOB"))
        var job: UInt32?

        func run() throws {
            if tables || sql != nil {
                let answer = try options.ask(.query(sql: tables ? nil : sql, json: options.json))
                return options.invocation.console.out(answer.body)
            }
            let changes = try options.ask(.list(.changes)).body
            let actions = try options.ask(.list(.actions)).body
            let console = options.invocation.console
            if options.json {
                return console.out(JSONLine.joined([("changes", changes), ("actions", actions)]))
            }
            var from: Timestamp?
            if let since {
                let now = Invocation.now()
                from =
                    History.span(since).map { now.adding(seconds: -$0) }
                    ?? TimeText.moment(since, now: now, zone: .client)
                if from == nil { throw ValidationError("--since \(since): write 90s, 30m, 2h, 1d or 2026-12-24T18:00") }
            }
            guard let read = History.read(History.Changes.self, changes),
                let done = History.read(History.Actions.self, actions)
            else {
                console.complain("burst: burstd's answer cannot be read: use programs of one release")
                throw ExitCode(1)
            }
            for line in History.lines(
                changes: read.changes, actions: done.actions, job: job, since: from, zone: .client)
            {
                console.print(line)
            }
        }
    }

    struct Reconfigure: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let burstd read its configuration again.")
        @OptionGroup var options: CommonOptions
        func run() throws { _ = try options.ask(.reconfigure, seconds: Invocation.hookSeconds) }
    }

    struct Shutdown: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "End burstd in order; jobs and buffers stay.")
        @OptionGroup var options: CommonOptions
        func run() throws { _ = try options.ask(.shutdown, seconds: Invocation.hookSeconds) }
    }

    struct Fsck: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Look for what does not fit in burstd's state and folders.")
        @OptionGroup var options: CommonOptions
        @Flag(help: "Mend it.")
        var repair = false
        func run() throws {
            let (answer, body) = try options.ask(.check(repair: repair), seconds: Invocation.hookSeconds)
            options.invocation.console.out(body)
            // Without a fault there is nothing to print.
            if case .body = answer, !body.isEmpty, !repair { throw ExitCode(1) }
        }
    }
}
