package import BurstModel

/// A cluster that never was: any number of buffers with their jobs, printed as Slurm's commands print them. The same
/// arguments give the same bytes, so benchmarks and tests can repeat each other.
package struct SyntheticCluster: Sendable {
    package var buffers: Int
    /// The controller's wall clock when the first sample is taken.
    package var now: LocalTime

    package static let pools = ["nvme", "scratch", "flash"]
    private static let users = ["alice", "bob", "carol", "dan", "erin", "frank", "grace", "svc_ml"]
    private static let accounts = ["bio", "physics", "chem", "(null)"]
    private static let sizes = ["1GiB", "40GiB", "250GiB", "800GiB", "3TiB", "16MiB"]
    private static let firstJob = 169_001

    package init(buffers: Int, now: LocalTime = LocalTime(secondsSinceEpoch: 1_795_000_000)) {
        self.buffers = buffers
        self.now = now
    }

    /// Every hundredth buffer is a persistent one.
    private func isPersistent(_ index: Int) -> Bool { index % 100 == 99 }

    /// A number that looks like chance.
    private func mix(_ index: Int) -> Int {
        Int(UInt32(truncatingIfNeeded: index) &* 2_654_435_761 >> 7)
    }

    /// The state of a buffer. With each tick one row in 100 takes another one.
    private func state(_ index: Int, tick: Int) -> BufferState {
        let life: [BufferState] = [.stagingIn, .stagedIn, .preRun, .running, .postRun, .stagingOut, .teardown]
        let steps = (tick + 99 - index % 100) / 100
        let start = mix(index) % 16
        return start >= life.count && steps == 0 ? .running : life[(start + steps) % life.count]
    }

    private func created(_ index: Int) -> LocalTime {
        LocalTime(secondsSinceEpoch: now.secondsSinceEpoch - 60 - Int64(mix(index) % 500_000))
    }

    /// What `scontrol -v show burst` prints.
    package func burstText(tick: Int = 0) -> [UInt8] {
        var text = "Name=lua DefaultPool=(null) Granularity=1 TotalSpace=0 FreeSpace=0 UsedSpace=0\n"
        for (index, pool) in Self.pools.enumerated() {
            let free = 4096 - index * 100 - tick % 100
            text += "  PoolName[\(index)]=\(pool) Granularity=1GiB TotalSpace=8PiB FreeSpace=\(free)TiB"
            text += " UsedSpace=\(8192 - free)TiB\n"
        }
        text += "  Flags=DisablePersistent\n  PollInterval=10\n"
        text += "  StageInTimeout=86400 StageOutTimeout=86400 ValidateTimeout=5 OtherTimeout=300\n"
        text += "  GetSysState=(null)\n  GetSysStatus=(null)\n"
        if buffers > 0 { text += "  Allocated Buffers:\n" }
        var bytes = Array(text.utf8)
        bytes.reserveCapacity(buffers * 190 + 2000)
        for index in 0..<buffers { bytes += row(index, tick: tick).utf8 }
        if buffers > 0 {
            bytes += "  Per User Buffer Use:\n".utf8
            for (index, user) in Self.users.enumerated() where index < buffers {
                bytes += "    UserID=\(user)(\(1001 + index)) Used=\(buffers / 8 + 1)TiB\n".utf8
            }
        }
        return bytes
    }

    private func row(_ index: Int, tick: Int) -> String {
        let user = mix(index) % Self.users.count
        let identity: String
        if isPersistent(index) {
            identity = "Name=dataset\(index)"
        } else if index % 10 == 3 {
            let job = Self.firstJob + index
            identity = "JobID=\(job - 3)_3(\(job))"
        } else {
            identity = "JobID=\(Self.firstJob + index)"
        }
        return "    \(identity) Account=\(Self.accounts[index % 4]) CreateTime=\(created(index).text)"
            + " Partition=debug Pool=\(Self.pools[index % 3]) QOS=normal Size=\(Self.sizes[mix(index) % 6])"
            + " State=\(isPersistent(index) ? "allocated" : state(index, tick: tick).name)"
            + " UserID=\(Self.users[user])(\(1001 + user))\n"
    }

    /// What the bulk `squeue` prints.
    package func jobsText(tick: Int = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(buffers * 260)
        for index in 0..<buffers where !isPersistent(index) {
            let job = Self.firstJob + index
            let isTask = index % 10 == 3
            let state = state(index, tick: tick)
            let jobState =
                switch state {
                case .stagingIn, .stagedIn, .preRun: "PENDING"
                case .running: "RUNNING"
                default: "STAGE_OUT"
                }
            let user = mix(index) % Self.users.count
            let fields = [
                "\(job)", "\(isTask ? job - 3 : job)", isTask ? "3" : "N/A", Self.users[user], "\(1001 + user)",
                Self.accounts[index % 4], "debug", "normal", "run_\(index % 500)", jobState,
                state == .stagingIn ? "BurstBufferStageIn" : "None", "4294901\(100 + index % 800)",
                "#BB_LUA pool=\(Self.pools[index % 3]) capacity=\(Self.sizes[mix(index) % 6])", state.name,
                created(index).text, "N/A", "N/A", "", "",
            ]
            bytes += fields.joined(separator: "\u{1f}").utf8
            bytes.append(0x1e)
            bytes.append(0x0a)
        }
        return bytes
    }

    /// What `scontrol show config` prints, as far as anybody asks.
    package var configText: [UInt8] {
        let lines = [
            "Configuration data as of \(now.text)", "BOOT_TIME               = \(now.text)",
            "BurstBufferType         = burst_buffer/lua", "ClusterName             = alps",
            "MessageTimeout          = 10 sec", "MinJobAge               = 300 sec",
            "PrivateData             = none", "SLURM_VERSION           = 26.05.0",
            "SlurmctldHost[0]        = node1(127.0.0.1)", "SlurmctldPort           = 6817", "",
        ]
        return Array(lines.joined(separator: "\n").utf8)
    }
}
