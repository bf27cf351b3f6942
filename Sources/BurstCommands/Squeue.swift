import BurstClient
import BurstEngine
import BurstWire
import Glibc

/// `squeue`: the engine prints, we pass it on (spec §8.4).
package enum Squeue {
    static let options: [OptionReader.Option] = [
        .init("account", "A", .required), .init("all", "a"), .init("array", "r"), .init("array-unique"),
        .init("clusters", "M", .required), .init("expand-patterns"), .init("Format", "O", .required),
        .init("format", "o", .required), .init("federation"), .init("help"), .init("hide"),
        .init("iterate", "i", .required), .init("jobs", "j", .required), .init("json", nil, .optional), .init("local"),
        .init("licenses", "L", .required), .init("long", "l"), .init("me"), .init("name", "n", .required),
        .init("noconvert"), .init("nodelist", "w", .required), .init("noheader", "h"), .init("notme"),
        .init("only-job-state"), .init("partition", "p", .required), .init("priority", "P"),
        .init("qos", "q", .required), .init("reservation", "R", .required), .init("sibling"),
        .init("sort", "S", .required), .init("start"), .init("states", "t", .required),
        .init("steps", "s", .optional), .init("usage"), .init("user", "u", .required), .init("verbose", "v"),
        .init("version", "V"), .init("yaml", nil, .optional),
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
        for name in ["steps", "yaml", "nodelist", "licenses", "reservation", "qos", "notme"] where read.has(name) {
            return fail("--\(name) is not known here; write -j, -u, -t, -p, -n or -A, -o or -O, --json")
        }
        if let word = read.words.first { return fail("Unrecognized option: \(word)") }
        let query = query(read, invocation)
        for job in query.jobs where !Scancel.isJob(job) { return fail("Invalid job id: \(job)") }
        if let fields = query.fields {
            for name in QueueColumn.parse(fields: fields).unknown {
                console.complain("\(invocation.name): error: Invalid job format specification: \(name)")
            }
        }
        if read.has("json") { return print(.list(.jobs), invocation) }
        guard let text = read.value("iterate") else { return print(.show(.queue(query)), invocation) }
        guard let seconds = UInt32(text), seconds > 0 else {
            return fail("--iterate=\(text) is not a number of seconds")
        }
        while true {
            let status = print(.show(.queue(query)), invocation)
            if status != 0 { return status }
            console.print("")
            sleep(seconds)
        }
    }

    private static func query(_ read: OptionReader, _ invocation: Invocation) -> Show.Queue {
        let environment = invocation.environment
        func list(_ name: String, _ variable: String) -> [String] {
            read.has(name) ? read.list(name) : OptionReader.parts(environment[variable] ?? "")
        }
        var query = Show.Queue()
        query.format = read.value("format")
        query.fields = read.value("Format")
        if query.format == nil, query.fields == nil {
            query.fields = environment["SQUEUE_FORMAT2"]
            query.format = query.fields == nil ? environment["SQUEUE_FORMAT"] : nil
        }
        query.header = !read.has("noheader")
        query.jobs = read.list("jobs")
        query.users = list("user", "SQUEUE_USERS")
        if read.has("me") { query.users = ["\(geteuid())"] }
        query.states = list("states", "SQUEUE_STATES")
        query.partitions = list("partition", "SQUEUE_PARTITION")
        query.names = list("name", "SQUEUE_NAMES")
        query.accounts = list("account", "SQUEUE_ACCOUNT")
        query.sort = read.value("sort") ?? environment["SQUEUE_SORT"]
        query.arrayElements = read.has("array") || environment["SQUEUE_ARRAY"] != nil
        query.long = read.has("long")
        return query
    }

    private static func print(_ ask: Question.Ask, _ invocation: Invocation) -> Int32 {
        let console = invocation.console
        do throws(ClientError) {
            let (answer, body) = try invocation.ask(ask)
            switch answer {
            case .refused(_, let code, let text, _):
                // One of ours concerns the words of the command line.
                let what = code == 0 ? "\(invocation.name): error: " : "slurm_load_jobs error: "
                console.complain(what + text)
                return 1
            default:
                console.out(body)
                return 0
            }
        } catch {
            console.complain("slurm_load_jobs error: \(error.slurm.text)")
            return 1
        }
    }

    static let usage = """
        Usage: squeue [OPTIONS]
          -A, --account=LIST      only jobs of these accounts
          -h, --noheader          no headline
          -i, --iterate=SECONDS   again and again
          -j, --jobs=LIST         only these jobs
          -l, --long              with state and time limit
              --me                only my own
          -n, --name=LIST         only jobs of these names
          -o, --format=FORMAT     columns: "%i %T %r"
          -O, --Format=FIELDS     columns: JobID,State,BurstBuffer:40,BurstBufferState
          -p, --partition=LIST    only jobs of these partitions
          -r, --array             a row for each task
          -S, --sort=FIELDS       order: P,t,-p
          -t, --states=LIST       only jobs in these states; all
          -u, --user=LIST         only jobs of these users
              --json              as JSON
        """
}
