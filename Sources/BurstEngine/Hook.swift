package import BurstModel

/// A hook: a function of `burst_buffer.lua` (spec §4.2), whose name there is the raw value, or a function of
/// `dw_wlm_cli` (spec §5.2).
package enum HookFunction: String, Codable, CaseIterable, Sendable {
    case pools = "slurm_bb_pools"
    case jobProcess = "slurm_bb_job_process"
    case setup = "slurm_bb_setup"
    case dataIn = "slurm_bb_data_in"
    case testDataIn = "slurm_bb_test_data_in"
    case realSize = "slurm_bb_real_size"
    case paths = "slurm_bb_paths"
    case preRun = "slurm_bb_pre_run"
    case postRun = "slurm_bb_post_run"
    case dataOut = "slurm_bb_data_out"
    case testDataOut = "slurm_bb_test_data_out"
    case jobTeardown = "slurm_bb_job_teardown"
    case getStatus = "slurm_bb_get_status"

    // What only datawarp calls has no name in lua.
    case showInstances = "show_instances"
    case showSessions = "show_sessions"
    case showConfigurations = "show_configurations"
    case createPersistent = "create_persistent"
    /// A `teardown` with a buffer's name as its token.
    case destroyPersistent = "destroy_persistent"

    /// The functions that `burst_buffer.lua` has to have.
    package static let ofLua = allCases.filter { $0.rawValue.hasPrefix("slurm_bb_") }

    /// As `dw_wlm_cli --function` names it: `data_in`, `teardown`.
    package var shortName: String {
        switch self {
        case .jobTeardown: "teardown"
        default: rawValue.hasPrefix("slurm_bb_") ? String(rawValue.dropFirst(9)) : rawValue
        }
    }

    /// What was called, as its arguments tell: a function of burst_buffer.lua, one of `dw_wlm_cli`, which is named
    /// behind `--function`, or `dwstat`. A trace holds calls of both where a site has changed its plugin.
    package func called(with arguments: [String]) -> String {
        if self == .getStatus {
            // lua is told who asks, by two numbers.
            let isLua = arguments.count >= 2 && arguments.prefix(2).allSatisfy { UInt32($0) != nil }
            return isLua ? rawValue : "dwstat"
        }
        return arguments.first == "--function" && arguments.count > 1 ? arguments[1] : rawValue
    }

    /// With lua: runs in the engine's own process, without a limit; the others in children that can be killed (spec
    /// §4.1).
    package var runsInProcess: Bool {
        switch self {
        case .pools, .jobProcess, .paths: true
        case .setup, .dataIn, .testDataIn, .realSize, .preRun, .postRun, .dataOut, .testDataOut, .jobTeardown,
            .getStatus, .showInstances, .showSessions, .showConfigurations, .createPersistent, .destroyPersistent:
            false
        }
    }
}

/// Names a call of a hook; grows by one with each and is never used again, also not after a restart.
package struct CallID: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }

    package var description: String { "\(number)" }

    package static func < (left: CallID, right: CallID) -> Bool { left.number < right.number }

    package init(from decoder: any Decoder) throws {
        number = try decoder.singleValueContainer().decode(UInt64.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(number)
    }
}

/// A field of the table `job_info` (spec §4.14). Fields that are absent read as nil.
package enum JobInfoValue: Hashable, Sendable {
    case text(String)
    case integer(Int64)
    case number(Double)
    /// A table 1..n.
    case list([String])
}

/// One call of a hook, as it is to be made.
package struct HookCall: Hashable, Sendable {
    package var id: CallID
    package var function: HookFunction
    /// The job it is for; nil for `slurm_bb_pools` and `slurm_bb_get_status`.
    package var jobID: UInt32?
    /// In order, all handed over as strings.
    package var arguments: [String]
    /// The table `job_info`, where the function has one; it stands behind `arguments`.
    package var jobInfo: [String: JobInfoValue]?
    /// Seconds until the call is ended; nil: no limit. Counted from when the function is called, not while it waits
    /// for a place.
    package var limitSeconds: UInt32?

    package init(
        id: CallID, function: HookFunction, jobID: UInt32? = nil, arguments: [String],
        jobInfo: [String: JobInfoValue]? = nil, limitSeconds: UInt32? = nil
    ) {
        self.id = id
        self.function = function
        self.jobID = jobID
        self.arguments = arguments
        self.jobInfo = jobInfo
        self.limitSeconds = limitSeconds
    }
}

/// How a call of a hook ended.
package struct HookAnswer: Hashable, Sendable {
    package enum End: Hashable, Sendable {
        /// The function returned 0 or nothing; `message` is its second value, if it had one.
        case success(message: String?)
        /// It returned another number, a wrong type, or it raised an error. `status` is the number (255 for -1 and for
        /// what is no number); `message` the second value, where there was one, else nil.
        case failure(status: Int, message: String?)
        /// The script could not be loaded, lacks a function, or the child died: why.
        case broken(String)
        /// It was ended when its limit was over, whatever it would have answered (spec §10, Q10).
        case timedOut
        /// It was ended because the engine asked for that.
        case killed
    }

    package var end: End
    /// What the function and its children wrote to standard output and error, at most `printedBytesMax`: apart from the
    /// message (spec §10, Q37).
    package var printed: String
    /// Lines that the script gave to `slurm.log_*`, and ours about its answer, oldest first.
    package var log: [HookLogLine]
    /// The child's; nil in process.
    package var pid: Int32?
    package var startedAt: TimestampMicroseconds
    package var durationMicroseconds: Int64

    package static let printedBytesMax = 65_536
    package static let logLinesMax = 200

    package init(
        end: End, printed: String = "", log: [HookLogLine] = [], pid: Int32? = nil,
        startedAt: TimestampMicroseconds = 0, durationMicroseconds: Int64 = 0
    ) {
        self.end = end
        self.printed = printed
        self.log = log
        self.pid = pid
        self.startedAt = startedAt
        self.durationMicroseconds = durationMicroseconds
    }

    package var isSuccess: Bool {
        if case .success = end { return true }
        return false
    }
}

/// Microseconds since 1970 UTC.
package typealias TimestampMicroseconds = Int64

/// A line of a log.
package struct HookLogLine: Hashable, Codable, Sendable {
    package enum Level: String, Codable, Sendable {
        case error, info, verbose, debug, debug2, debug3, debug4
    }

    package var level: Level
    package var text: String

    package init(_ level: Level, _ text: String) {
        self.level = level
        self.text = text
    }
}

/// A pool as the answer of `slurm_bb_pools` names it (spec §4.5).
package struct ReportedPool: Hashable, Sendable {
    package var name: String
    package var quantity: Int64
    /// Bytes or units; 0 and absent mean 1.
    package var granularity: Int64
    /// Granules; nil where the answer has none.
    package var free: Int64?

    package init(name: String, quantity: Int64, granularity: Int64, free: Int64? = nil) {
        self.name = name
        self.quantity = quantity
        self.granularity = granularity
        self.free = free
    }
}

/// What the document of `slurm_bb_pools` said: pools, and what is wrong, one line each. With a fault in the document as
/// a whole the pools are empty and those known stay.
package struct PoolsReading: Hashable, Sendable {
    package var pools: [ReportedPool]
    package var faults: [String]

    package init(pools: [ReportedPool] = [], faults: [String] = []) {
        self.pools = pools
        self.faults = faults
    }
}

/// A session as `show_sessions` names it (spec §5.3).
package struct ReportedSession: Hashable, Sendable {
    package var id: Int64
    /// A job's number, or the name of a persistent buffer.
    package var token: String
    package var uid: UInt32
    package var userName: String
    /// Nil where the answer has none.
    package var created: Timestamp?

    package init(id: Int64, token: String, uid: UInt32, userName: String, created: Timestamp? = nil) {
        self.id = id
        self.token = token
        self.uid = uid
        self.userName = userName
        self.created = created
    }
}

/// What a document about the site said. With a fault in the document as a whole there is none: what was known stays.
package enum SiteReading: Hashable, Sendable {
    /// Bytes of all instances of each session.
    case instances([Int64: UInt64])
    case sessions([ReportedSession])
    /// It could not be read: why, a line each.
    case unreadable([String])
}
