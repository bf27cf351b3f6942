/// What `list` answers: the body is a JSON object with one list, named as the question: `{"jobs": [...]}`. Names are written
/// with underscores, times are RFC 3339 in UTC, sizes are bytes or units as the pool counts. What is not known is absent.
package enum Listing {
    package struct Job: Codable, Hashable, Sendable {
        package var jobId: UInt32
        package var arrayJobId: UInt32?
        package var arrayTaskId: UInt32?
        /// Not split off yet.
        package var arrayTasks: [UInt32]?
        package var hetJobId: UInt32?
        package var name: String
        package var user: String
        package var userId: UInt32
        package var group: String
        package var account: String?
        package var partition: String
        /// As squeue shows it.
        package var state: String
        /// Slurm's base state.
        package var baseState: String
        package var reason: String
        package var priority: UInt32
        package var submittedAt: String
        package var eligibleAt: String?
        package var startAt: String?
        package var endAt: String?
        package var timeLimitMinutes: UInt32?
        package var nodes: UInt32
        package var cpus: UInt32
        package var dependency: String?
        package var reservation: String?
        package var restarts: UInt32
        package var exitStatus: UInt32
        package var burstBuffer: String?
        package var burstBufferState: String?
        package var burstBufferStateSince: String?
        package var systemComment: String?
        package var workDir: String
        package var command: String

        package init(
            jobId: UInt32, name: String, user: String, userId: UInt32, group: String, partition: String, state: String,
            baseState: String, reason: String, priority: UInt32, submittedAt: String, nodes: UInt32, cpus: UInt32,
            restarts: UInt32, exitStatus: UInt32, workDir: String, command: String
        ) {
            self.jobId = jobId
            self.name = name
            self.user = user
            self.userId = userId
            self.group = group
            self.partition = partition
            self.state = state
            self.baseState = baseState
            self.reason = reason
            self.priority = priority
            self.submittedAt = submittedAt
            self.nodes = nodes
            self.cpus = cpus
            self.restarts = restarts
            self.exitStatus = exitStatus
            self.workDir = workDir
            self.command = command
        }
    }

    package struct Pool: Codable, Hashable, Sendable {
        package var name: String
        package var granularity: UInt64
        package var total: UInt64
        package var used: UInt64
        package var free: UInt64
        package var siteFree: UInt64?
        package var isReported: Bool

        package init(
            name: String, granularity: UInt64, total: UInt64, used: UInt64, free: UInt64, siteFree: UInt64?,
            isReported: Bool
        ) {
            self.name = name
            self.granularity = granularity
            self.total = total
            self.used = used
            self.free = free
            self.siteFree = siteFree
            self.isReported = isReported
        }
    }

    package struct Buffer: Codable, Hashable, Sendable {
        package var jobId: UInt32
        package var user: String
        package var userId: UInt32
        package var pool: String?
        package var size: UInt64
        package var state: String
        package var stateSince: String
        package var createdAt: String
        /// The hook under way.
        package var function: String?
        package var functionSince: String?

        package init(
            jobId: UInt32, user: String, userId: UInt32, pool: String?, size: UInt64, state: String,
            stateSince: String, createdAt: String
        ) {
            self.jobId = jobId
            self.user = user
            self.userId = userId
            self.pool = pool
            self.size = size
            self.state = state
            self.stateSince = stateSince
            self.createdAt = createdAt
        }
    }

    package struct User: Codable, Hashable, Sendable {
        package var user: String
        package var userId: UInt32
        package var buffers: Int
        /// By pool.
        package var used: [String: UInt64]

        package init(user: String, userId: UInt32, buffers: Int, used: [String: UInt64]) {
            self.user = user
            self.userId = userId
            self.buffers = buffers
            self.used = used
        }
    }

    package struct Reservation: Codable, Hashable, Sendable {
        package var name: String
        package var users: [String]
        package var startAt: String
        package var endAt: String
        package var burstBuffer: String
        package var flags: String

        package init(
            name: String, users: [String], startAt: String, endAt: String, burstBuffer: String, flags: String
        ) {
            self.name = name
            self.users = users
            self.startAt = startAt
            self.endAt = endAt
            self.burstBuffer = burstBuffer
            self.flags = flags
        }
    }

    package struct Change: Codable, Hashable, Sendable {
        package var at: String
        package var jobId: UInt32
        package var userId: UInt32
        package var state: String
        package var burstBufferState: String?
        package var reason: String
        package var pool: String?
        package var size: UInt64

        package init(
            at: String, jobId: UInt32, userId: UInt32, state: String, burstBufferState: String?, reason: String,
            pool: String?, size: UInt64
        ) {
            self.at = at
            self.jobId = jobId
            self.userId = userId
            self.state = state
            self.burstBufferState = burstBufferState
            self.reason = reason
            self.pool = pool
            self.size = size
        }
    }

    package struct Action: Codable, Hashable, Sendable {
        package var at: String
        package var userId: UInt32
        package var verb: String
        package var jobId: UInt32?
        package var outcome: String

        package init(at: String, userId: UInt32, verb: String, jobId: UInt32?, outcome: String) {
            self.at = at
            self.userId = userId
            self.verb = verb
            self.jobId = jobId
            self.outcome = outcome
        }
    }

    /// A call of a hook: a line of `trace`, and the body of a `call` push. A call that has ended comes again, with its outcome.
    package struct Call: Codable, Hashable, Sendable {
        package struct Line: Codable, Hashable, Sendable {
            package var level: String
            package var text: String

            package init(level: String, text: String) {
                self.level = level
                self.text = text
            }
        }

        package var call: UInt64
        package var function: String
        package var jobId: UInt32?
        package var arguments: [String]
        package var limitSeconds: UInt32?
        /// When it was decided.
        package var at: String
        /// Nil: under way. `success`, `failure`, `broken`, `timeout`, `killed`, `lost`.
        package var outcome: String?
        package var status: Int?
        package var message: String?
        package var printed: String?
        package var log: [Line]?
        package var pid: Int32?
        /// When the function began, and how long it took.
        package var startedMicroseconds: Int64?
        package var durationMicroseconds: Int64?

        package init(
            call: UInt64, function: String, jobId: UInt32?, arguments: [String], limitSeconds: UInt32?, at: String
        ) {
            self.call = call
            self.function = function
            self.jobId = jobId
            self.arguments = arguments
            self.limitSeconds = limitSeconds
            self.at = at
        }
    }
}
