/// A `burst_buffer.lua` of which every function succeeds at once, and the jobs that both engines are given. It runs
/// under Lua 5.1, with which Debian's slurmctld is built, and under 5.4 alike.
enum ImmediateScript {
    static let pool = "bench"
    static let granularity = 1_048_576

    /// - Parameters:
    ///   - buffers: how many of the jobs' buffers the pool has room for.
    ///   - gate: a FIFO at which `data_in` waits until somebody opens it for writing.
    static func lua(buffers: Int, gate: String? = nil) -> String {
        let functions = [
            "job_process", "job_teardown", "setup", "data_in", "test_data_in", "real_size", "paths", "pre_run",
            "post_run", "data_out", "test_data_out", "get_status",
        ]
        let pools = """
            {"pools": [{"id": "\(pool)", "quantity": \(buffers), "granularity": \(granularity)}]}
            """
        return """
            function slurm_bb_pools() return slurm.SUCCESS, '\(pools)' end

            """
                + functions.map { name in
                    let wait = name == "data_in" ? gate.map { "io.open('\($0)', 'r'):close() " } ?? "" : ""
                    return "function slurm_bb_\(name)() \(wait)return slurm.SUCCESS end\n"
                }.joined()
    }

    /// Whose jobs they are; made by Tests/Reference/cluster.
    static let user = "bbalice"

    static let job = "#!/bin/sh\n#BB_LUA pool=\(pool) capacity=\(granularity)\nexit 0\n"
    /// Takes all CPUs, so that the others wait.
    static let blocker = "#!/bin/sh\nexec sleep 3000\n"
}
