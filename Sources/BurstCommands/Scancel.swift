import BurstClient
import BurstWire
import Glibc

/// `scancel`: texts and exit statuses of Slurm's (spec §7.4, corpus cancel-*).
package enum Scancel {
    static let options: [OptionReader.Option] = [
        .init("account", "A", .required), .init("batch", "b"), .init("ctld"), .init("full", "f"), .init("hurry", "H"),
        .init("interactive", "i"), .init("me"), .init("clusters", "M", .required), .init("name", "n", .required),
        .init("jobname", nil, .required), .init("partition", "p", .required), .init("quiet", "Q"),
        .init("qos", "q", .required), .init("reservation", "R", .required), .init("signal", "s", .required),
        .init("state", "t", .required), .init("user", "u", .required), .init("verbose", "v"), .init("version", "V"),
        .init("nodelist", "w", .required), .init("wckey", nil, .required), .init("cron", "c"), .init("help"),
        .init("usage"), .init("sibling", nil, .required),
    ]

    package static func run(_ invocation: Invocation) -> Int32 {
        let console = invocation.console
        guard let read = invocation.read(options) else { return 1 }
        if read.has("help") || read.has("usage") {
            console.print(usage)
            return 0
        }
        if read.has("version") {
            console.print(Invocation.slurmVersion)
            return 0
        }
        func fail(_ text: String) -> Int32 {
            console.complain("\(invocation.name): error: \(text)")
            return 1
        }
        for name in ["nodelist", "qos", "reservation", "wckey", "clusters", "sibling"] where read.has(name) {
            return fail("--\(name) cannot choose jobs here; write job ids, --user, --name, --partition or --state")
        }
        var command = Command(.cancel)
        command.filters = filters(read, invocation)
        for word in read.words.flatMap(OptionReader.parts) {
            guard isJob(word) else { return fail("Invalid job id \(word)") }
            command.jobs.append(word)
        }
        if command.jobs.isEmpty, command.filters.isEmpty { return fail("No job identification provided") }
        command.hurry = read.has("hurry") || invocation.environment["SCANCEL_HURRY"] != nil
        command.batchOnly = read.has("batch") || invocation.environment["SCANCEL_BATCH"] != nil
        if let word = read.value("signal") {
            guard let signal = signal(word) else { return fail("Unknown job signal: \(word)") }
            command.signal = signal == SIGKILL && !command.batchOnly ? nil : signal
        }
        let isVerbose = read.has("verbose") || invocation.environment["SCANCEL_VERBOSE"] != nil
        if read.has("interactive") {
            command.jobs = command.jobs.filter { confirm($0, console) }
            if command.jobs.isEmpty { return 0 }
        }
        return send(command, invocation, isVerbose: isVerbose, isQuiet: read.has("quiet"))
    }

    private static func filters(_ read: OptionReader, _ invocation: Invocation) -> [String: String] {
        var filters: [String: String] = [:]
        let variables = [
            "account": "SCANCEL_ACCOUNT", "name": "SCANCEL_NAME", "partition": "SCANCEL_PARTITION",
            "state": "SCANCEL_STATE", "user": "SCANCEL_USER",
        ]
        for (name, variable) in variables {
            if let value = read.value(name) ?? invocation.environment[variable] { filters[name] = value }
        }
        if let name = read.value("jobname") { filters["name"] = name }
        if let state = filters["state"] { filters["state"] = state.uppercased() }
        if read.has("me") { filters["user"] = "\(geteuid())" }
        return filters
    }

    /// `7`, `7_3`, `7_[1-3,5]`, `7+1`.
    static func isJob(_ word: String) -> Bool {
        let digits = word.prefix { $0.isASCII && $0.isNumber }
        guard let number = UInt32(digits), number > 0 else { return false }
        let rest = word.dropFirst(digits.count)
        if rest.isEmpty { return true }
        guard let mark = rest.first, mark == "_" || mark == "+" else { return false }
        let tasks = rest.dropFirst()
        if tasks.hasPrefix("["), tasks.hasSuffix("]") {
            return tasks.dropFirst().dropLast().allSatisfy { "0123456789-,:%".contains($0) } && tasks.count > 2
        }
        return UInt32(tasks) != nil
    }

    static func signal(_ word: String) -> Int32? {
        if let number = Int32(word) { return (1...64).contains(number) ? number : nil }
        let names: [String: Int32] = [
            "HUP": SIGHUP, "INT": SIGINT, "QUIT": SIGQUIT, "ABRT": SIGABRT, "KILL": SIGKILL, "ALRM": SIGALRM,
            "TERM": SIGTERM, "CHLD": SIGCHLD, "USR1": SIGUSR1, "USR2": SIGUSR2, "URG": SIGURG, "CONT": SIGCONT,
            "STOP": SIGSTOP, "TSTP": SIGTSTP, "TTIN": SIGTTIN, "TTOU": SIGTTOU, "XCPU": SIGXCPU, "WINCH": SIGWINCH,
        ]
        let upper = word.uppercased()
        return names[upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper]
    }

    private static func confirm(_ job: String, _ console: Console) -> Bool {
        console.out(Array("Cancel job_id=\(job) [y/n]? ".utf8))
        return readLine().map { $0.hasPrefix("y") || $0.hasPrefix("Y") } ?? false
    }

    private static func send(
        _ command: Command, _ invocation: Invocation, isVerbose: Bool, isQuiet: Bool
    ) -> Int32 {
        let console = invocation.console
        func complain(_ job: String, _ text: String) {
            if !isQuiet { console.complain("\(invocation.name): error: Kill job error on job id \(job): \(text)") }
        }
        if isVerbose {
            for job in command.jobs {
                let what = command.signal.map { "Signal \($0) to job \(job)" } ?? "Terminating job \(job)"
                console.complain("\(invocation.name): \(what)")
            }
        }
        let answer: Answer
        do throws(ClientError) {
            answer = try invocation.ask(.command(command)).0
        } catch {
            let (code, text) = error.slurm
            if command.jobs.isEmpty {
                if !isQuiet { console.complain("\(invocation.name): error: slurm_load_jobs error: \(text)") }
                return 1
            }
            for job in command.jobs { complain(job, text) }
            return code & 0xff
        }
        switch answer {
        case .done(_, let outcomes):
            return status(outcomes, command, isVerbose: isVerbose, complain)
        case .refused(_, let code, let text, let notes):
            for note in notes { console.complain("\(invocation.name): error: \(note)") }
            guard let job = command.jobs.first else {
                if !isQuiet { console.complain("\(invocation.name): error: \(text)") }
                return 1
            }
            return status(
                [Outcome(job: 0, shown: job, code: code, text: text)], command, isVerbose: isVerbose, complain)
        default:
            return 0
        }
    }

    /// Prints what failed.
    /// - Returns: the exit status: Slurm's error number, cut to a byte, of the last failure.
    private static func status(
        _ outcomes: [Outcome], _ command: Command, isVerbose: Bool, _ complain: (String, String) -> Void
    ) -> Int32 {
        let isSignal = command.signal != nil || command.batchOnly
        var status: Int32 = 0
        for outcome in outcomes where outcome.code != 0 || !outcome.text.isEmpty {
            switch outcome.code {
            // Nothing is left to cancel: said on request only, and no failure (corpus cancel-completed, cancel-many).
            case 2021,
                2017 where !isSignal:
                if isVerbose { complain(outcome.shown, outcome.text) }
            case 2017:
                complain(outcome.shown, outcome.text)
                status = 1
            default:
                complain(outcome.shown, outcome.text)
                status = max(1, outcome.code & 0xff)
            }
        }
        return status
    }

    static let usage = """
        Usage: scancel [OPTIONS] [JOB_ID[_TASK]...]
          -b, --batch             signal the batch script only
          -H, --hurry             do not stage data out: IT IS LOST
          -i, --interactive       ask before each
          -n, --name=NAME         only jobs of this name
          -p, --partition=NAME    only jobs of this partition
          -A, --account=NAME      only jobs of this account
          -s, --signal=NAME|NUM   send a signal instead of ending the job
          -t, --state=STATE       only jobs in this state
          -u, --user=USER         only jobs of this user
              --me                only my own
          -Q, --quiet             say nothing
          -v, --verbose           say what is done
        """
}
