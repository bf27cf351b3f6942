import BurstClient
import BurstTestSupport
import Dispatch
import Glibc
import Synchronization

/// Threads that may wait, one a call.
func concurrently(_ count: Int, _ body: @Sendable (Int) -> Void) {
    DispatchQueue.concurrentPerform(iterations: count, execute: body)
}

extension SessionBench {
    /// What goes wrong in a life.
    private enum Fault: CaseIterable {
        case noSource, closedTarget, killedWorker, cutConnection, hurry, killedDaemon
    }

    /// Lives with faults, of which nothing may stay (L1).
    func measureCycles() throws(HarnessError) {
        let rig = try SessionRig(programs: programs, driver: effort.driver, granules: 256)
        defer { rig.stop() }
        try rig.start()
        rig.fill("source/in", files: 12, bytes: 4096)
        rig.fill("source/more", files: 400, bytes: 512)
        // One life, and then what is there when nobody has a buffer.
        try Self.live(0, nil, rig)
        try waitUntilIdle(rig)
        let before = rig.inventory()
        let faults = Atomic<Int>(0)
        let wrong = Mutex<[String]>([])
        let began = ContinuousClock().now
        let share = effort.faults
        /// burstd is killed in the first part only: afterwards one life of it is looked at.
        let killed = effort.cycles / 4
        let looked = effort.cycles / 2
        var memory = 0.0
        for part in [1..<(killed + 1), (killed + 1)..<(looked + 1), (looked + 1)..<(effort.cycles + 1)] {
            try Self.inLanes(part.count) { index throws(HarnessError) in
                let number = part.lowerBound + index
                var chance = Chance(seed: UInt64(number))
                var fault: Fault?
                if chance.below(100) < share {
                    let possible = Fault.allCases.filter { $0 != .killedDaemon || number <= killed }
                    fault = possible[chance.below(possible.count)]
                    faults.wrappingAdd(1, ordering: .relaxed)
                }
                do throws(HarnessError) {
                    try Self.live(number, fault, rig)
                } catch {
                    wrong.withLock { $0.append("\(number) \(fault.map { "\($0)" } ?? ""): \(error)") }
                }
            }
            do throws(HarnessError) {
                try waitUntilIdle(rig)
            } catch {
                for text in wrong.withLock({ $0 }).prefix(10) { progress("went wrong: \(text)") }
                progress(rig.everything())
                throw error
            }
            if part.upperBound == looked + 1 { memory = Processes.memory(of: rig.pid).now }
            let seconds = Int(Self.milliseconds(since: began) / 1000)
            progress(
                "\(part.upperBound - 1) lives after \(seconds) s, burstd has \(Processes.memory(of: rig.pid).now) MiB")
        }
        let after = rig.inventory()
        for text in wrong.withLock({ $0 }).prefix(10) { progress("went wrong: \(text)") }
        let how = "\(effort.cycles) lives, \(effort.driver), \(faults.load(ordering: .relaxed)) with a fault"
        var failed = EngineFigure("L1", "\(how): that did not end as they should", "lives", .atMost(0))
        failed.ours.add(Double(wrong.withLock { $0.count }))
        add(failed)
        for ((what, count), (_, was)) in zip(after, before) {
            var figure = EngineFigure("L1", "left behind: \(what)", "", .atMost(0))
            figure.ours.add(Double(max(0, count - was)))
            add(figure)
        }
        var growth = EngineFigure("L1", "growth of burstd's memory in the second half", "%", .atMost(5))
        growth.ours.add(max(0, (Processes.memory(of: rig.pid).now / memory - 1) * 100))
        add(growth)
        var rate = EngineFigure("L1", "lives", "1/s")
        rate.ours.add(Double(effort.cycles) / (Self.milliseconds(since: began) / 1000))
        add(rate)
    }

    /// One life of a buffer, whatever happens in it: at its end it must be gone.
    private static func live(_ number: Int, _ fault: Fault?, _ rig: SessionRig) throws(HarnessError) {
        let token = "\(number + 1)"
        let target = rig.folder("target/\(token)")
        let many = fault == .killedWorker || fault == .hurry || fault == .cutConnection
        let script = rig.script(
            source: rig.folder(fault == .noSource ? "source/none" : many ? "source/more" : "source/in"),
            target: fault == .closedTarget ? rig.folder("pool/closed") : target)
        func must(_ words: [String], script: String? = nil) throws(HarnessError) {
            let said = try rig.ask(words, script: script)
            guard said.isDone else { throw HarnessError("\(words[0]): \(said.text)") }
        }
        let said = try rig.setUp(token, script)
        guard said.isDone else { throw HarnessError("setup: \(said.text)") }
        switch fault {
        case .noSource:
            guard try !rig.ask(["data_in", "--token", token]).isDone else {
                throw HarnessError("data_in of nothing succeeds")
            }
            return try end(token, script, rig)
        case .hurry:
            let connection = rig.begin(["data_in", "--token", token])
            usleep(UInt32(5000 + number % 20 * 1000))
            defer { connection?.close() }
            return try end(token, script, rig)
        case .killedWorker:
            let connection = rig.begin(["data_in", "--token", token])
            usleep(UInt32(5000 + number % 20 * 1000))
            // Whosever it is: others bear it too.
            if let worker = rig.workers().first { kill(worker, SIGKILL) }
            connection?.close()
        case .cutConnection:
            for verb in ["data_in", "data_in"] {
                let connection = rig.begin([verb, "--token", token])
                usleep(UInt32(number % 10 * 1000))
                connection?.close()
            }
        case .killedDaemon:
            let connection = rig.begin(["data_in", "--token", token])
            usleep(UInt32(number % 30 * 1000))
            try rig.restart()
            connection?.close()
        case .closedTarget, nil: break
        }
        try must(["data_in", "--token", token])
        try must(["pre_run", "--token", token])
        try must(["post_run", "--token", token])
        if fault == .closedTarget {
            guard try !rig.ask(["data_out", "--token", token]).isDone else {
                throw HarnessError("data_out to a closed folder succeeds")
            }
            return try end(token, script, rig)
        }
        try must(["data_out", "--token", token])
        try end(token, script, hurry: false, rig)
        let copied = Processes.names(in: target).count
        guard copied == (many ? 400 : 12) else { throw HarnessError("\(copied) files came out") }
        for name in Processes.names(in: target) { unlink("\(target)/\(name)") }
        rmdir(target)
    }

    private static func end(
        _ token: String, _ script: String, hurry: Bool = true, _ rig: SessionRig
    ) throws(HarnessError) {
        let said = try rig.ask(["teardown", "--token", token] + (hurry ? ["--hurry"] : []), script: script)
        // Who was cut off asks again, and then it may be gone.
        guard said.isDone || said.text.contains("token not found") else {
            throw HarnessError("teardown: \(said.text)")
        }
    }

    /// No session, and all space back: what was torn down is removed after its answer.
    private func waitUntilIdle(_ rig: SessionRig) throws(HarnessError) {
        var text = ""
        let isIdle = Wait.until(seconds: 120) {
            let sessions = (try? rig.ask(["show_sessions"]).text) ?? ""
            text = sessions + ((try? rig.ask(["pools"]).text) ?? "")
            guard !sessions.contains("\"token\""),
                let pool = text.firstMatch(of: /"free"\s*:\s*(\d+).*?"quantity"\s*:\s*(\d+)/)
            else { return false }
            return pool.1 == pool.2
        }
        guard isIdle else { throw HarnessError("buffers stay: \(text.prefix(2000))") }
    }
}
