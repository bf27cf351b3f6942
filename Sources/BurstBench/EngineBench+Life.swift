import BurstTestSupport

/// What is measured on a running burstd and slurmctld.
extension EngineBench {
    private static let unfinished = ["PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "STAGE_OUT"]
    /// Seconds that jobs may take.
    private static let limit = 600.0

    // MARK: Life cycles

    /// Jobs with a buffer through the whole cycle; they are submitted held, so that submission, which goes through
    /// sbatch there and through connections here, is measured apart.
    func measureCycles(_ burstd: BurstdRig, _ slurm: SlurmRig?) throws(HarnessError) {
        var cycles = EngineFigure(
            "A1", "complete life cycles, from release to the last teardown", "1/s",
            slurm == nil ? .none : .ratioAtLeast(10))
        var whole = EngineFigure(
            "A2", "the same with submission (sbatch, 4 at a time; here 8 connections)", "1/s",
            slurm == nil ? .none : .ratioAtLeast(10))
        var done = (ours: 0, theirs: 0)
        for _ in 0..<effort.rounds {
            if let slurm {
                let start = PseudoTerminal.now
                let jobs = try slurm.submit(effort.slurmCycles, isHeld: true)
                let released = PseudoTerminal.now
                try slurm.release(jobs)
                guard
                    try Counting.wait(
                        seconds: Self.limit, every: 0.1,
                        { () throws(HarnessError) in
                            guard try slurm.count(Self.unfinished) == 0 else { return false }
                            return try slurm.buffers() == 0
                        })
                else { throw HarnessError("slurmctld does not complete \(jobs.count) jobs") }
                cycles.peer.add(Double(jobs.count) / Counting.seconds(since: released))
                whole.peer.add(Double(jobs.count) / Counting.seconds(since: start))
                done.theirs += jobs.count
                let completed = try slurm.count(["COMPLETED"])
                guard completed == done.theirs else { throw HarnessError("slurmctld completed \(completed) jobs only") }
            }
            let start = PseudoTerminal.now
            let jobs = try burstd.submit(effort.cycles, isHeld: true)
            let released = PseudoTerminal.now
            try burstd.release(jobs)
            guard
                try burstd.wait(
                    seconds: Self.limit,
                    { () throws(HarnessError) in
                        guard try burstd.count(Self.unfinished) == 0 else { return false }
                        return try burstd.buffers() == 0
                    })
            else { throw HarnessError("burstd does not complete \(jobs.count) jobs") }
            cycles.ours.add(Double(jobs.count) / Counting.seconds(since: released))
            whole.ours.add(Double(jobs.count) / Counting.seconds(since: start))
            done.ours += jobs.count
            let completed = try burstd.count(["COMPLETED"])
            guard completed == done.ours else { throw HarnessError("burstd completed \(completed) jobs only") }
            progress("A1: \(cycles.markdown)")
        }
        add(cycles)
        add(whole)
    }

    // MARK: Listing

    /// Buffers that are staged in wait for the CPUs, which another job keeps.
    func measureShow(_ burstd: BurstdRig, _ slurm: SlurmRig?) throws(HarnessError) {
        var show = EngineFigure(
            "B", "show burst: burst with \(effort.buffers) buffers, scontrol with \(effort.slurmBuffers)", "ms",
            slurm == nil ? .none : .ratioAtMost(1))
        try burstd.block(cpus: Self.cpus)
        try burstd.submit(effort.buffers)
        let count = effort.buffers
        guard
            try burstd.wait(
                seconds: Self.limit, { () throws(HarnessError) in try burstd.buffers("staged-in") == count })
        else { throw HarnessError("burstd does not stage \(count) jobs in") }
        if let slurm {
            try slurm.block(cpus: Self.cpus)
            try slurm.submit(effort.slurmBuffers)
            let count = effort.slurmBuffers
            guard
                try Counting.wait(
                    seconds: Self.limit, every: 0.5,
                    { () throws(HarnessError) in try slurm.buffers("staged-in") == count })
            else { throw HarnessError("slurmctld stages \(try slurm.buffers("staged-in")) jobs of \(count) in") }
        }
        for _ in 0..<max(5, effort.rounds * 3) {
            if let slurm { show.peer.add(try slurm.showTime(expecting: effort.slurmBuffers)) }
            show.ours.add(try burstd.showTime(expecting: effort.buffers))
        }
        add(show)
    }

    // MARK: A long queue

    /// Jobs that wait for space in a pool that is full, each submitted with its buffer, checked by the script and
    /// durable.
    func measurePending() throws(HarnessError) {
        let burstd = try BurstdRig(programs: programs, cpus: Self.cpus, buffers: 10)
        defer { burstd.end() }
        try burstd.block(cpus: Self.cpus)
        var idle = EngineFigure("D1", "processor time while idle, empty queue", "%", .atMost(0.5))
        idle.ours.add(idleShare(burstd))
        add(idle)
        var fill = EngineFigure("C1", "submissions, 0 to \(effort.pending) pending", "1/s")
        let start = PseudoTerminal.now
        try burstd.submit(effort.pending)
        fill.ours.add(Double(effort.pending) / Counting.seconds(since: start))
        add(fill)
        var rate = EngineFigure(
            "C2", "submissions with \(effort.pending) pending, 8 connections, durable", "1/s", .atLeast(1000))
        for _ in 0..<max(3, effort.rounds) {
            let start = PseudoTerminal.now
            try burstd.submit(2000)
            rate.ours.add(2000 / Counting.seconds(since: start))
        }
        add(rate)
        guard try burstd.count(["PENDING"]) >= effort.pending else { throw HarnessError("jobs are missing") }
        var memory = EngineFigure("C3", "resident memory with \(effort.pending) pending", "MiB", .atMost(500))
        memory.ours.add(Processes.memory(of: burstd.daemon).now)
        add(memory)
        var busy = EngineFigure(
            "D2", "processor time while idle, \(effort.pending) pending", "%", .atMost(0.5))
        _ = try burstd.wait(seconds: 3) { () throws(HarnessError) in false }
        busy.ours.add(idleShare(burstd))
        add(busy)
    }

    /// Per cent of one processor.
    private func idleShare(_ burstd: BurstdRig) -> Double {
        let processes = burstd.processes
        func time() -> UInt64 { processes.reduce(0) { $0 + Processes.processorTime(of: $1) } }
        let before = (time(), PseudoTerminal.now)
        Wait.until(seconds: effort.idleSeconds, every: 0.5) { false }
        return Double(time() - before.0) / Double(PseudoTerminal.now - before.1) * 100
    }
}
