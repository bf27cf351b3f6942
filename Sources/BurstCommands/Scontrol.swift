import BurstClient
import BurstWire
import Glibc

/// `scontrol`: what of it concerns jobs, burst buffers and reservations, in Slurm's words (corpus hold-release,
/// requeue, suspend, update-job, bbstat, reservation, outage).
package enum Scontrol {
    static let options: [OptionReader.Option] = [
        .init("all", "a"), .init("details", "d"), .init("federation"), .init("future", "F"), .init("help", "h"),
        .init("hide"), .init("json", nil, .optional), .init("yaml", nil, .optional), .init("local"),
        .init("cluster", "M", .required), .init("clusters", nil, .required), .init("oneliner", "o"),
        .init("quiet", "Q"), .init("sibling"), .init("uid", "u", .required), .init("usage"), .init("verbose", "v"),
        .init("version", "V"),
    ]

    package static func run(_ invocation: Invocation) -> Int32 {
        guard let read = invocation.read(options) else { return 1 }
        if read.has("help") || read.has("usage") {
            invocation.console.print(usage)
            return 0
        }
        if read.has("version") {
            invocation.console.print(Invocation.slurmVersion)
            return 0
        }
        let run = Run(invocation: invocation, read: read)
        guard let verb = read.words.first else {
            return run.fail("\(invocation.name): error: no command; \(Run.known)")
        }
        return run.command(verb.lowercased(), Array(read.words.dropFirst()))
    }

    /// One command.
    struct Run {
        let invocation: Invocation
        let read: OptionReader

        static let known =
            "there is show, hold, uhold, release, requeue, requeuehold, suspend, resume, update, create, "
            + "delete, reconfigure, ping, shutdown, version"

        private var console: Console { invocation.console }
        private var isQuiet: Bool { read.has("quiet") }

        func fail(_ text: String) -> Int32 {
            if !isQuiet { console.complain(text) }
            return 1
        }

        func command(_ verb: String, _ words: [String]) -> Int32 {
            switch verb {
            case "show": return show(words)
            case "hold", "holdu", "uhold", "release", "requeue", "requeuehold", "suspend", "resume":
                return jobs(verb, words)
            case "update": return update(words)
            case "create": return create(words)
            case "delete": return delete(words)
            case "reconfigure", "reconfig": return plain(.reconfigure, as: "slurm_reconfigure error:")
            case "shutdown": return plain(.shutdown, as: "slurm_shutdown error:")
            case "ping": return ping()
            case "version":
                console.print(Invocation.slurmVersion)
                return 0
            case "help":
                console.print(Scontrol.usage)
                return 0
            default: return fail("\(invocation.name): error: invalid keyword: \(verb); \(Self.known)")
            }
        }

        /// The answer, or nil after its refusal was printed behind `what`.
        private func ask(
            _ question: Question.Ask, as what: String, seconds: Int = BurstConnection.answerSeconds
        ) -> (Answer, [UInt8])? {
            do throws(ClientError) {
                let (answer, body) = try invocation.ask(question, seconds: seconds)
                guard case .refused(_, _, let text, let notes) = answer else { return (answer, body) }
                if !isQuiet { for note in notes { console.complain(note) } }
                _ = fail(what + text)
            } catch {
                _ = fail(what + error.slurm.text)
            }
            return nil
        }

        private func plain(_ question: Question.Ask, as what: String) -> Int32 {
            ask(question, as: what, seconds: Invocation.hookSeconds) == nil ? 1 : 0
        }

        private func ping() -> Int32 {
            var isUp = false
            if case .ok? = try? invocation.ask(.ping).0 { isUp = true }
            console.print("Slurmctld(primary) at \(Invocation.hostName) is \(isUp ? "UP" : "DOWN")")
            return isUp ? 0 : 1
        }

        // MARK: show

        /// Whether `word` is `name` or begins it, with at least `least` letters, in any case.
        static func begins(_ word: String, _ name: String, _ least: Int) -> Bool {
            word.count >= least && name.hasPrefix(word.lowercased())
        }

        private func show(_ words: [String]) -> Int32 {
            guard let entity = words.first else { return fail("too few arguments for keyword:show") }
            let rest = Array(words.dropFirst())
            let isOneLine = read.has("oneliner")
            let hasJSON = read.has("json")
            func asked(_ show: Show, _ what: String, seconds: Int = BurstConnection.answerSeconds) -> Int32 {
                guard let (_, body) = ask(.show(show), as: what + " error: ", seconds: seconds) else { return 1 }
                console.out(body)
                return 0
            }
            func listed(_ list: List, _ what: String) -> Int32 {
                guard let (_, body) = ask(.list(list), as: what + " error: ") else { return 1 }
                console.out(body)
                return 0
            }
            if Self.begins(entity, "burstbuffer", 2) {
                return asked(
                    .burst(oneLine: isOneLine, verbose: read.has("verbose")), "slurm_load_burst_buffer_info")
            }
            if Self.begins(entity, "bbstat", 2) || Self.begins(entity, "dwstat", 2) {
                let word = Self.begins(entity, "bbstat", 2) ? "bbstat" : "dwstat"
                return asked(
                    .status(word: word, arguments: rest), "slurm_load_burst_buffer_stat",
                    seconds: Invocation.hookSeconds)
            }
            if Self.begins(entity, "jobs", 1) {
                if hasJSON { return listed(.jobs, "slurm_load_jobs") }
                let id = rest.first.map { $0.lowercased().hasPrefix("jobid=") ? String($0.dropFirst(6)) : $0 }
                return asked(.jobs(id: id, oneLine: isOneLine), "slurm_load_jobs")
            }
            if Self.begins(entity, "config", 3) { return asked(.config, "slurm_load_ctl_conf") }
            if Self.begins(entity, "reservations", 3) {
                if hasJSON { return listed(.reservations, "slurm_load_reservations") }
                return asked(.reservations(name: rest.first, oneLine: isOneLine), "slurm_load_reservations")
            }
            // The text is Slurm's, with its blank at the end (spec §8.1).
            return fail("invalid entity:\(entity) for keyword:show ")
        }

        // MARK: Jobs

        private func jobs(_ verb: String, _ words: [String]) -> Int32 {
            let ids = words.flatMap(OptionReader.parts).map { word in
                ["jobid=", "job="].first { word.lowercased().hasPrefix($0) }.map { String(word.dropFirst($0.count)) }
                    ?? word
            }
            guard !ids.isEmpty else { return fail("too few arguments for keyword:\(verb)") }
            for id in ids where !Scancel.isJob(id) { return fail("Invalid job id specified") }
            guard let command = Command.Verb(rawValue: verb == "holdu" ? "uhold" : verb) else { return 1 }
            let isHold = ["hold", "uhold", "release"].contains(command.rawValue)
            return send(Command(command, jobs: ids), repeats: isHold)
        }

        /// - Parameter repeats: hold and release print the refusal twice, under the name of the call.
        private func send(_ command: Command, repeats: Bool) -> Int32 {
            let answer: Answer
            do throws(ClientError) {
                answer = try invocation.ask(.command(command)).0
            } catch {
                return fail("slurm_suspend error:" + error.slurm.text)
            }
            let outcomes: [Outcome]
            switch answer {
            case .done(_, let done): outcomes = done
            case .refused(_, let code, let text, let notes):
                if !isQuiet { for note in notes { console.complain(note) } }
                outcomes = [Outcome(job: 0, shown: command.jobs.first ?? "", code: code, text: text)]
            default: return 0
            }
            var status: Int32 = 0
            for outcome in outcomes where outcome.code != 0 || !outcome.text.isEmpty {
                _ = fail("\(outcome.text) for job \(outcome.shown)")
                if repeats { _ = fail("slurm_suspend error:\(outcome.text)") }
                status = 1
            }
            return status
        }

        // MARK: update, create, delete

        /// `KEY=VALUE` words, keys in lower case; nil where one has no `=`.
        private func pairs(_ words: [String]) -> [String: String] {
            var pairs: [String: String] = [:]
            for word in words {
                let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                pairs[parts[0].lowercased()] = parts.count > 1 ? String(parts[1]) : ""
            }
            return pairs
        }

        static func isReservation(_ key: String) -> Bool {
            begins(key, "reservationname", 3)
        }

        private func update(_ words: [String]) -> Int32 {
            var fields = pairs(words)
            if let key = ["jobid", "job"].first(where: { fields[$0] != nil }), let id = fields.removeValue(forKey: key)
            {
                for one in OptionReader.parts(id) where !Scancel.isJob(one) {
                    return fail("Invalid job id specified")
                }
                guard !fields.isEmpty else { return fail("No changes specified") }
                var command = Command(.update, jobs: OptionReader.parts(id))
                command.updates = fields
                return send(command, repeats: false)
            }
            if fields.keys.contains(where: Self.isReservation) {
                guard ask(.reserve(Reserve(verb: "update", fields: fields)), as: "slurm_update error: ") != nil else {
                    return 1
                }
                console.print("Reservation updated.")
                return 0
            }
            _ = fail("No valid entity in update command")
            return fail(
                "Input line must include \"NodeName\", \"PartitionName\", \"Reservation\", \"JobId\", or "
                    + "\"SlurmctldDebug\"")
        }

        private func create(_ words: [String]) -> Int32 {
            guard let first = words.first else { return fail("too few arguments for keyword:create") }
            let key = String(first.split(separator: "=", omittingEmptySubsequences: false)[0])
            guard Self.isReservation(key) else {
                return fail("\(invocation.name): error: Invalid creation entity: \(first)")
            }
            let isEntity = !first.contains("=")
            let fields = pairs(isEntity ? Array(words.dropFirst()) : words)
            let question = Question.Ask.reserve(Reserve(verb: "create", fields: fields))
            guard let (answer, body) = ask(question, as: "Error creating the reservation: ") else { return 1 }
            var name = fields.first { Self.isReservation($0.key) }?.value ?? ""
            if case .body = answer { name = String(decoding: body, as: UTF8.self) }
            console.print("Reservation created: \(name)")
            return 0
        }

        private func delete(_ words: [String]) -> Int32 {
            guard let first = words.first else { return fail("too few arguments for keyword:delete") }
            let parts = first.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard Self.isReservation(parts[0]), let name = parts.count > 1 ? parts[1] : words.dropFirst().first else {
                return fail("Invalid deletion entity: \(first)")
            }
            let reserve = Reserve(verb: "delete", fields: ["reservationname": name])
            return ask(.reserve(reserve), as: "slurm_delete_reservation error: ") == nil ? 1 : 0
        }
    }

    static let usage = """
        scontrol [<OPTION>] [<COMMAND>]
            Valid <OPTION> values are:
             -o, --oneliner    a record in one line
             -v, --verbose     show burst: account, partition and QOS too
             -Q, --quiet       print no error messages
                 --json        show job, show reservation: as JSON
             -V, --version
            Valid <COMMAND> values are:
             show burst                         pools and buffers
             show bbstat|dwstat [ARGUMENTS]     what the site's get_status says
             show job [ID]                      jobs
             show config
             show reservation [NAME]
             hold|uhold|release ID...           keep a job from running, and let it
             requeue|requeuehold ID...          run it again from the beginning
             suspend|resume ID...
             update JobId=ID KEY=VALUE...       name, comment, time limit, burst buffer...
             update ReservationName=NAME KEY=VALUE...
             create reservation KEY=VALUE...    ReservationName, StartTime, Duration, Users, BurstBuffer
             delete ReservationName=NAME
             reconfigure                        read the configuration again
             ping                               does burstd answer
             shutdown                           end burstd in order
        """
}
