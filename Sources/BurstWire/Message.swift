import FoundationEssentials

/// What a client asks of `burstd`, and what it answers. A frame is a length, a header in JSON and a body of bytes
/// (`Frame`); texts that are printed as they are travel as bodies.
///
/// A connection begins with `Hello` from both sides. A client may then send questions; each has an answer with its
/// number,
/// in any order. After `subscribe` the server sends `push` frames besides.
package enum Wire {
    /// Both sides say it; a server refuses another major version with one line.
    package static let version = 1
    /// Bytes of a frame, header and body.
    package static let frameBytesMax = 64 * 1024 * 1024
    /// Bytes of a header.
    package static let headerBytesMax = 8 * 1024 * 1024
    /// Seconds in which a new connection must have said its hello.
    package static let helloSeconds = 10
    /// Questions of one connection under way at once.
    package static let questionsMax = 64
}

/// The first header of each side.
package struct Hello: Codable, Hashable, Sendable {
    package var burst: Int = Wire.version
    /// `burst 0.1`, `burstd 0.1`.
    package var program: String
    /// The server's: ClusterName.
    package var cluster: String?
    /// The server's: nil, or why it will not talk to this client.
    package var refused: String?

    package init(program: String, cluster: String? = nil, refused: String? = nil) {
        self.program = program
        self.cluster = cluster
        self.refused = refused
    }
}

/// A client's header.
package struct Question: Codable, Hashable, Sendable {
    /// The client's number for it; answers carry it.
    package var id: UInt64
    package var ask: Ask

    package init(id: UInt64, ask: Ask) {
        self.id = id
        self.ask = ask
    }

    package enum Ask: Codable, Hashable, Sendable {
        /// The batch script is the frame's body.
        case submit(Submission)
        case command(Command)
        case reserve(Reserve)
        /// The answer's body is the text that the command prints.
        case show(Show)
        /// The answer's body is JSON.
        case list(List)
        /// Answers when the job (or its buffer, `untilStagedOut`) is done; see `Answer.ended`.
        case wait(job: UInt32, untilStagedOut: Bool)
        /// The answer's body is JSON lines of calls; with `follow` more come as pushes.
        case trace(job: UInt32?, follow: Bool, last: Int)
        case subscribe(Subscription)
        case ping
        case reconfigure
        case shutdown
        /// One SELECT over the history, for operators; nil: the tables with what they mean. The answer's body is a
        /// table whose columns tabs part, or JSON lines.
        case query(sql: String?, json: Bool)
        /// Looks through state and folders for what does not fit; `repair` mends it.
        case check(repair: Bool)
        /// A call of `dw_wlm_cli` or `dwstat`. The script that `--job` names is the frame's body. Answer: `staged`.
        case stage(StageCall)
        /// What people ask of a staging. Answer: `staged`.
        case stageOrder(StageOrder)
    }
}

/// `sbatch`, `burst submit`.
package struct Submission: Codable, Hashable, Sendable {
    package var name: String
    package var workDir: String
    package var environment: [String] = []
    /// Behind the script's name.
    package var arguments: [String] = []
    package var burstBuffer: String?
    package var command = ""
    package var submitLine: String?
    /// Another user's name or number; operators only.
    package var user: String?
    package var partition: String?
    package var account: String?
    package var qos: String?
    package var comment: String?
    package var stdIn: String?
    package var stdOut: String?
    package var stdErr: String?
    package var appendsOutput = false
    package var nodes: UInt32?
    package var tasks: UInt32?
    package var cpusPerTask: UInt32?
    package var timeLimitMinutes: UInt32?
    package var isHeld = false
    package var priority: UInt32?
    package var nice: Int32 = 0
    /// Milliseconds since 1970 UTC.
    package var begin: Int64?
    package var dependency: String?
    package var array: String?
    package var reservation: String?
    package var mayRequeue = true
    /// Slurm's bits (`slurm.MAIL_*`).
    package var mailTypes: UInt32 = 0
    package var mailUser: String?
    package var testOnly = false

    package init(name: String, workDir: String) {
        self.name = name
        self.workDir = workDir
    }
}

/// What is asked of jobs.
package struct Command: Codable, Hashable, Sendable {
    package enum Verb: String, Codable, Sendable {
        case cancel, hold, uhold, release, requeue, requeuehold, suspend, resume, update
    }

    package var verb: Verb
    /// `7`, `7_3`, `7_[1-3]`; empty with filters.
    package var jobs: [String] = []
    package var hurry = false
    package var signal: Int32?
    package var batchOnly = false
    /// `scancel --user`, `--name`, `--partition`, `--account`, `--state`.
    package var filters: [String: String] = [:]
    /// `scontrol update job`: keys as typed.
    package var updates: [String: String] = [:]

    package init(_ verb: Verb, jobs: [String] = []) {
        self.verb = verb
        self.jobs = jobs
    }
}

/// `scontrol create|update|delete reservation`: keys and values as typed.
package struct Reserve: Codable, Hashable, Sendable {
    package var verb: String
    package var fields: [String: String]

    package init(verb: String, fields: [String: String]) {
        self.verb = verb
        self.fields = fields
    }
}

/// A text as Slurm's commands print it.
package enum Show: Codable, Hashable, Sendable {
    /// `scontrol show burst`.
    case burst(oneLine: Bool, verbose: Bool)
    /// `scontrol show job [ID]`.
    case jobs(id: String?, oneLine: Bool)
    case reservations(name: String?, oneLine: Bool)
    case config
    /// `scontrol show bbstat|dwstat`.
    case status(word: String, arguments: [String])
    case queue(Queue)

    /// `squeue`.
    package struct Queue: Codable, Hashable, Sendable {
        /// `-o`; nil with `-O` or the default.
        package var format: String?
        /// `-O`.
        package var fields: String?
        package var header = true
        package var jobs: [String] = []
        package var users: [String] = []
        package var states: [String] = []
        package var partitions: [String] = []
        package var names: [String] = []
        package var accounts: [String] = []
        /// `-S`.
        package var sort: String?
        package var arrayElements = false
        package var long = false

        package init() {}
    }
}

/// What is wanted as JSON.
package enum List: String, Codable, Hashable, Sendable {
    case jobs, pools, buffers, users, reservations, config
    /// State changes of the history, actions, calls.
    case changes, actions, calls
    /// Sessions, pools and quarantine of the stager, with the progress of what the caller may see: the document of
    /// `dwstat --json pools sessions`.
    case staging
}

/// A call of one of Cray's commands, word by word: the daemon reads them, so that one release decides.
package struct StageCall: Codable, Hashable, Sendable {
    package enum Program: String, Codable, Sendable { case wlm = "dw_wlm_cli", dwstat }

    package var program: Program
    /// Behind the program's name. Bytes that are no UTF-8 have become U+FFFD: no word with one is right.
    package var arguments: [String]
    /// The frame's body is the script. False where none was named, or it cannot be read (staging.md §1.2).
    package var hasScript = false
    /// Lines of the file that `--nodehostnamefile` names.
    package var nodes: [String] = []

    package init(_ program: Program, arguments: [String]) {
        self.program = program
        self.arguments = arguments
    }
}

/// What operators and owners ask of a session of the stager.
package enum StageOrder: Codable, Hashable, Sendable {
    /// Copies again what failed.
    case retry(token: String)
    /// Bytes and files a second; 0 pauses, nil lifts the limit.
    case throttle(token: String, bytesPerSecond: UInt64?, filesPerSecond: UInt64?)
    /// Who may use a persistent buffer beside its owner: names or numbers.
    case access(name: String, everyone: Bool, users: [String], groups: [String])
}

/// What a subscriber wants pushed.
package struct Subscription: Codable, Hashable, Sendable {
    /// Texts as `scontrol -v show burst` prints them, when they changed.
    package var burst = true
    /// As squeue prints it with these options; nil: not wanted.
    package var queue: Show.Queue?
    /// Exact state times and stage progress (`Extras`).
    package var extras = true
    /// Calls of hooks as they begin and end.
    package var calls = true
    /// The document of `List.staging`, when it changed. Nil, as older clients say it: not wanted.
    package var staging: Bool?
    /// Milliseconds between two pushes of one kind, at least `intervalMillisecondsMin`.
    package var intervalMilliseconds = 250

    package static let intervalMillisecondsMin = 50

    package init() {}
}

/// A server's header.
package enum Answer: Codable, Hashable, Sendable {
    /// The body holds the answer.
    case body(UInt64)
    case submitted(UInt64, job: UInt32, notes: [String])
    /// One for each job, in order.
    case done(UInt64, [Outcome])
    /// `notes` first; `code` is Slurm's error number, 0 for one of ours.
    case refused(UInt64, code: Int32, text: String, notes: [String])
    /// A job that was waited for: as wait(2) gives it, and the states.
    case ended(UInt64, status: UInt32, jobState: String, bufferState: String?)
    case ok(UInt64)
    /// How the command ends; the body is what it prints. `lines`: for the path file of `paths`.
    case staged(UInt64, status: Int32, lines: [String])
    /// Progress of something that is waited for.
    case progress(UInt64, Progress)
    case push(Push)
}

extension Answer {
    /// The number of a `refused` that says nothing about the question: the daemon ended before there was an answer, and
    /// whoever can wait asks the next one. Slurm's own for a controller that is out of reach.
    package static let daemonEnded: Int32 = 1800
}

/// What became of a command for one job.
package struct Outcome: Codable, Hashable, Sendable {
    package var job: UInt32
    package var shown: String
    package var code: Int32
    /// Empty for success.
    package var text: String

    package init(job: UInt32, shown: String, code: Int32, text: String) {
        self.job = job
        self.shown = shown
        self.code = code
        self.text = text
    }
}

/// How far a staging is; nil until known.
package struct Progress: Codable, Hashable, Sendable {
    package var job: UInt32
    /// As `BurstBufferState=` prints it.
    package var state: String
    package var filesDone: UInt64?
    package var filesTotal: UInt64?
    package var bytesDone: UInt64?
    package var bytesTotal: UInt64?
    package var bytesPerSecond: Double?
    package var secondsLeft: Double?

    package init(job: UInt32, state: String) {
        self.job = job
        self.state = state
    }
}

/// News for a subscriber.
package enum Push: Codable, Hashable, Sendable {
    /// The body: text of `scontrol -v show burst`.
    case burst(at: Int64)
    /// The body: text of squeue.
    case queue(at: Int64)
    /// The body: JSON of `Extras`.
    case extras(at: Int64)
    /// The body: JSON of one call, begun or ended.
    case call(at: Int64)
    /// The body: the document of `List.staging`.
    case staging(at: Int64)
}

/// What Slurm cannot tell.
package struct Extras: Codable, Hashable, Sendable {
    package struct Job: Codable, Hashable, Sendable {
        package var job: UInt32
        /// Since when the buffer's state is what it is, milliseconds since 1970 UTC.
        package var bufferStateSince: Int64?
        package var jobStateSince: Int64?
        /// The hook under way: its name, and since when.
        package var function: String?
        package var functionSince: Int64?
        package var progress: Progress?

        package init(job: UInt32) { self.job = job }
    }

    package var jobs: [Job]

    package init(jobs: [Job]) { self.jobs = jobs }
}
