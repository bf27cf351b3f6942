/// What a column of squeue can show (squeue's manual page). What no job here can have is `N/A` or `(null)`.
package enum QueueField: String, Hashable, Sendable, CaseIterable {
    case account, allocNodes, arrayJobID, arrayTaskID, batchHost, burstBuffer, burstBufferState, command, comment
    case contiguous, coreSpec, cpus, dependency, endTime, eligibleTime, adminComment, systemComment, execHost
    case exitCode, features, groupID, groupName, hetJobID, hetJobOffset, jobArrayID, jobID, licenses, maxNodes
    case minCPUs, minMemory, minTmpDisk, name, nice, nodes, nodeList, nodesRequested, excludedNodes, overSubscribe
    case partition, priority, priorityLong, qos, reason, reasonList, requeue, reservation, restarts, scheduledNodes
    case socketsCoresThreads, socketsPerNode, coresPerSocket, threadsPerCore, startTime, state, stateCompact
    case stdErr, stdIn, stdOut, submitTime, tasks, timeLeft, timeLimit, timeUsed, tresPerNode, userID, userName
    case wckey, workDir, cluster, accrueTime, cpusPerTask

    package var header: String {
        switch self {
        case .account: "ACCOUNT"
        case .allocNodes: "ALLOC_NODES"
        case .arrayJobID: "ARRAY_JOB_ID"
        case .arrayTaskID: "ARRAY_TASK_ID"
        case .batchHost: "BATCH_HOST"
        case .burstBuffer: "BURST_BUFFER"
        case .burstBufferState: "BURST_BUFFER_STATE"
        case .command: "COMMAND"
        case .comment: "COMMENT"
        case .contiguous: "CONTIGUOUS"
        case .coreSpec: "CORE_SPEC"
        case .cpus: "CPUS"
        case .dependency: "DEPENDENCY"
        case .endTime: "END_TIME"
        case .eligibleTime: "ELIGIBLE_TIME"
        case .adminComment: "ADMIN_COMMENT"
        case .systemComment: "SYSTEM_COMMENT"
        case .execHost: "EXEC_HOST"
        case .exitCode: "EXIT_CODE"
        case .features: "FEATURES"
        case .groupID: "GROUP_ID"
        case .groupName: "GROUP"
        case .hetJobID: "HET_JOB_ID"
        case .hetJobOffset: "HET_JOB_OFFSET"
        case .jobArrayID, .jobID: "JOBID"
        case .licenses: "LICENSES"
        case .maxNodes: "MAX_NODES"
        case .minCPUs: "MIN_CPUS"
        case .minMemory: "MIN_MEMORY"
        case .minTmpDisk: "MIN_TMP_DISK"
        case .name: "NAME"
        case .nice: "NICE"
        case .nodes: "NODES"
        case .nodeList: "NODELIST"
        case .nodesRequested: "REQ_NODES"
        case .excludedNodes: "EXC_NODES"
        case .overSubscribe: "OVER_SUBSCRIBE"
        case .partition: "PARTITION"
        case .priority, .priorityLong: "PRIORITY"
        case .qos: "QOS"
        case .reason: "REASON"
        case .reasonList: "NODELIST(REASON)"
        case .requeue: "REQUEUE"
        case .reservation: "RESERVATION"
        case .restarts: "RESTART_COUNT"
        case .scheduledNodes: "SCHEDNODES"
        case .socketsCoresThreads: "S:C:T"
        case .socketsPerNode: "SOCKETS_PER_NODE"
        case .coresPerSocket: "CORES_PER_SOCKET"
        case .threadsPerCore: "THREADS_PER_CORE"
        case .startTime: "START_TIME"
        case .state: "STATE"
        case .stateCompact: "ST"
        case .stdErr: "STDERR"
        case .stdIn: "STDIN"
        case .stdOut: "STDOUT"
        case .submitTime: "SUBMIT_TIME"
        case .tasks: "TASKS"
        case .timeLeft: "TIME_LEFT"
        case .timeLimit: "TIME_LIMIT"
        case .timeUsed: "TIME"
        case .tresPerNode: "TRES_PER_NODE"
        case .userID: "UID"
        case .userName: "USER"
        case .wckey: "WCKEY"
        case .workDir: "WORK_DIR"
        case .cluster: "CLUSTER"
        case .accrueTime: "ACCRUE_TIME"
        case .cpusPerTask: "CPUS_PER_TASK"
        }
    }

    /// Spans are never cut (corpus formats, `squeue -l`).
    var isCut: Bool {
        switch self {
        case .timeLimit, .timeLeft, .timeUsed: false
        default: true
        }
    }

    static let byLetter: [Character: QueueField] = [
        "a": .account, "A": .jobID, "b": .tresPerNode, "B": .execHost, "c": .minCPUs, "C": .cpus, "d": .minTmpDisk,
        "D": .nodes, "e": .endTime, "E": .dependency, "f": .features, "F": .arrayJobID, "g": .groupName,
        "G": .groupID, "h": .overSubscribe, "H": .socketsPerNode, "i": .jobArrayID, "I": .coresPerSocket, "j": .name,
        "J": .threadsPerCore, "k": .comment, "K": .arrayTaskID, "l": .timeLimit, "L": .timeLeft, "m": .minMemory,
        "M": .timeUsed, "n": .nodesRequested, "N": .nodeList, "o": .command, "O": .contiguous, "p": .priority,
        "P": .partition, "q": .qos, "Q": .priorityLong, "r": .reason, "R": .reasonList, "S": .startTime,
        "t": .stateCompact, "T": .state, "u": .userName, "U": .userID, "v": .reservation, "V": .submitTime,
        "w": .wckey, "W": .licenses, "x": .excludedNodes, "X": .coreSpec, "y": .nice, "Y": .scheduledNodes,
        "z": .socketsCoresThreads, "Z": .workDir,
    ]

    /// Names of `-O` in lower case.
    static let byName: [String: QueueField] = {
        var names: [String: QueueField] = [
            "account": .account, "accruetime": .accrueTime, "admin_comment": .adminComment, "allocnodes": .allocNodes,
            "arrayjobid": .arrayJobID, "arraytaskid": .arrayTaskID, "batchhost": .batchHost,
            "burstbuffer": .burstBuffer, "burstbufferstate": .burstBufferState, "cluster": .cluster,
            "command": .command, "comment": .comment, "contiguous": .contiguous, "cores": .coresPerSocket,
            "corespec": .coreSpec, "cpus-per-task": .cpusPerTask, "dependency": .dependency,
            "eligibletime": .eligibleTime, "endtime": .endTime, "exit_code": .exitCode, "feature": .features,
            "groupid": .groupID, "groupname": .groupName, "hetjobid": .hetJobID, "hetjoboffset": .hetJobOffset,
            "jobarrayid": .jobArrayID, "jobid": .jobID, "licenses": .licenses, "maxcpus": .cpus,
            "maxnodes": .maxNodes, "mincpus": .minCPUs, "minmemory": .minMemory, "mintmpdisk": .minTmpDisk,
            "name": .name, "nice": .nice, "nodes": .nodeList, "nodelist": .nodeList, "numcpus": .cpus,
            "numnodes": .nodes, "numtasks": .tasks, "oversubscribe": .overSubscribe, "partition": .partition,
            "priority": .priority, "prioritylong": .priorityLong, "qos": .qos, "reason": .reason,
            "reasonlist": .reasonList, "reqnodes": .nodesRequested, "requeue": .requeue, "reservation": .reservation,
            "restartcnt": .restarts, "sct": .socketsCoresThreads, "schednodes": .scheduledNodes,
            "sockets": .socketsPerNode, "starttime": .startTime, "state": .state, "statecompact": .stateCompact,
            "stderr": .stdErr, "stdin": .stdIn, "stdout": .stdOut, "submittime": .submitTime,
            "system_comment": .systemComment, "threads": .threadsPerCore, "timeleft": .timeLeft,
            "timelimit": .timeLimit, "timeused": .timeUsed, "tres-per-node": .tresPerNode, "userid": .userID,
            "username": .userName, "wckey": .wckey, "workdir": .workDir, "exec_host": .execHost,
        ]
        names["excnodes"] = .excludedNodes
        return names
    }()
}
