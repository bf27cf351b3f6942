import BurstModel
import BurstStager

/// Snapshots of many sessions.
enum Many {
    static func snapshot(_ count: Int) -> StagerSnapshot {
        let start = Timestamp(seconds: 1_800_000_000)
        let sessions = (0..<UInt64(count)).map { index in
            var session = StagerSession(
                id: SessionID(index * 10 + 1), key: SessionKey(token: "\(index + 1)", generation: 1),
                owner: StagerSession.Owner(uid: 1001, gid: 1001), creator: .slurm,
                created: start.adding(seconds: Int(index)), plan: SessionPlan.Lines(), phase: .running)
            session.instances = [
                StagerSession.Instance(
                    id: index * 10 + 2, pool: "nvme", asked: 1 << 30, granules: 1, bytes: 1 << 30,
                    fragment: index * 10 + 3,
                    configurations: [
                        StagerSession.Configuration(id: index * 10 + 4, access: .striped, namespace: index * 10 + 5)
                    ])
            ]
            session.registrations = [
                StagerSession.Registration(id: index * 10 + 6, configuration: index * 10 + 4, of: session.id)
            ]
            session.activations = [
                StagerSession.Activation(
                    id: index * 10 + 7, configuration: index * 10 + 4, mount: "\(index + 1)_striped_scratch")
            ]
            session.nodes = ["node1"]
            return session
        }
        let pool = StagerPool(id: "nvme", granularity: 1 << 30, quantity: 1 << 40)
        return StagerSnapshot(
            at: start, host: "nid00017", mountFolder: "/var/lib/burst/mnt",
            pools: [StagerSnapshot.Pool(pool: pool, use: PoolUse())], sessions: sessions, quarantine: [])
    }
}

/// Chance that can be had again.
struct SimulatedDice {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    /// From 0 up to 1.
    mutating func unit() -> Double {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Double(state >> 11) / Double(1 << 53)
    }
}
