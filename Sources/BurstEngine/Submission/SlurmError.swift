/// Slurm's error codes that the engine answers with. The raw value is the number in slurm_errno.h; numbers and texts
/// are those of 26.05.
package enum SlurmError: UInt32, Error, Codable, CaseIterable, Sendable {
    case invalidPartitionName = 2000
    case accessDenied = 2002
    case tooManyRequestedCPUs = 2005
    case invalidNodeCount = 2006
    case maxJobCount = 2007
    case jobScriptMissing = 2009
    case invalidUserID = 2010
    case pathnameTooLong = 2012
    case requestedNodeConfigUnavailable = 2014
    case requestedPartConfigUnavailable = 2015
    case nodesBusy = 2016
    case invalidJobID = 2017
    case writingToFile = 2019
    case transitionStateNoUpdate = 2020
    case alreadyDone = 2021
    case jobPending = 2024
    case badTaskCount = 2025
    case invalidFeature = 2029
    case notSupported = 2036
    case disabled = 2037
    case dependency = 2038
    case jobHeld = 2042
    case invalidTaskMemory = 2044
    case invalidAccount = 2045
    case invalidLicenses = 2048
    case accountingPolicy = 2050
    case invalidTimeLimit = 2051
    case reservationAccess = 2052
    case reservationInvalid = 2053
    case invalidTimeValue = 2054
    case invalidQOS = 2066
    case invalidCPUCount = 2069
    case partitionNotAvailable = 2070
    case circularDependency = 2071
    case invalidGRES = 2072
    case jobNotPending = 2073
    case jobSuspended = 2077
    case cannotStartImmediately = 2078
    case invalidArray = 2081
    case jobStarted = 2083
    case jobFinished = 2084
    case jobNotRunning = 2085
    case jobNotPendingNorRunning = 2086
    case jobNotSuspended = 2087
    case jobNotFinished = 2088
    case internalError = 2090
    case burstBufferTypeChange = 2091
    case burstBufferPermission = 2092
    case burstBufferLimit = 2093
    case invalidBurstBufferRequest = 2094
    case burstBufferWait = 2100
    case partitionDown = 2101
    case notWholeHetJob = 2108
    case invalidNice = 2123

    /// As Slurm's commands print it.
    package var text: String {
        switch self {
        case .invalidPartitionName: "Invalid partition name specified"
        case .accessDenied: "Access/permission denied"
        case .tooManyRequestedCPUs: "More processors requested than permitted"
        case .invalidNodeCount: "Node count specification invalid"
        case .maxJobCount: "Unable to create job record, try again"
        case .jobScriptMissing: "Job script not specified"
        case .invalidUserID: "Invalid user id"
        case .pathnameTooLong: "Pathname of a file, directory or other parameter too long"
        case .requestedNodeConfigUnavailable: "Requested node configuration is not available"
        case .requestedPartConfigUnavailable: "Requested partition configuration not available now"
        case .nodesBusy: "Requested nodes are busy"
        case .invalidJobID: "Invalid job id specified"
        case .writingToFile: "I/O error writing script/environment to file"
        case .transitionStateNoUpdate: "Job can not be altered now, try again later"
        case .alreadyDone: "Job/step already completing or completed"
        case .jobPending: "Job is pending execution"
        case .badTaskCount: "Task count specification invalid"
        case .invalidFeature: "Invalid feature specification"
        case .notSupported: "Requested operation not supported on this system"
        case .disabled: "Requested operation is presently disabled"
        case .dependency: "Job dependency problem"
        case .jobHeld: "Job is in held state, pending scheduler release"
        case .invalidTaskMemory: "Memory required by task is not available"
        case .invalidAccount: "Invalid account or account/partition combination specified"
        case .invalidLicenses: "Invalid license specification"
        case .accountingPolicy:
            "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
        case .invalidTimeLimit: "Requested time limit is invalid (missing or exceeds some limit)"
        case .reservationAccess: "Access denied to requested reservation"
        case .reservationInvalid: "Requested reservation is invalid"
        case .invalidTimeValue: "Invalid time specified"
        case .invalidQOS: "Invalid qos specification"
        case .invalidCPUCount: "CPU count specification invalid"
        case .partitionNotAvailable: "Required partition not available (inactive or drain)"
        case .circularDependency: "Circular job dependency"
        case .invalidGRES: "Invalid generic resource (gres) specification"
        case .jobNotPending: "Job is no longer pending execution"
        case .jobSuspended: "Job is current suspended, requested operation disabled"
        case .cannotStartImmediately: "Job can not start immediately"
        case .invalidArray: "Invalid job array specification"
        case .jobStarted: "Job has already started"
        case .jobFinished: "Job has already finished"
        case .jobNotRunning: "Job is not running"
        case .jobNotPendingNorRunning: "Job is not pending nor running"
        case .jobNotSuspended: "Job is not suspended"
        case .jobNotFinished: "Job is not finished"
        case .internalError: "Slurm internal error, contact system administrator"
        case .burstBufferTypeChange:
            "BurstBufferType change requires restart of slurmctld daemon to take effect"
        case .burstBufferPermission: "Burst Buffer permission denied"
        case .burstBufferLimit: "Burst Buffer resource limit exceeded"
        case .invalidBurstBufferRequest: "Burst Buffer request invalid"
        case .burstBufferWait: "Waiting for burst buffer"
        case .partitionDown: "Partition in DOWN state"
        case .notWholeHetJob: "Operation not permitted on individual component of heterogeneous job"
        case .invalidNice: "Invalid --nice value"
        }
    }
}

extension Refusal {
    package init(_ error: SlurmError) { self.init(code: Int32(error.rawValue), text: error.text) }
}

/// Why the controller refuses a submission. A client prints `lines`, each behind `PROG: error: `, and then its own
/// line, which ends in the text of `code` (spec §3.3).
package struct SubmissionFault: Error, Hashable, Sendable, CustomStringConvertible {
    package var code: SlurmError
    /// Empty lines are left out, as Slurm's clients do.
    package var lines: [String]

    package init(_ code: SlurmError, _ lines: [String] = []) {
        self.code = code
        self.lines = lines.filter { !$0.isEmpty }
    }

    package var description: String { (lines + [code.text]).joined(separator: ": ") }
}
