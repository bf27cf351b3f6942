import BurstTestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// Lives by chance, with every promise checked after every decision. `BURST_SEEDS=N` runs so many (10,000 in CI), and
/// `BURST_SEED=S` repeats one.
@Suite struct SimulationTests {
    private static func number(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }

    @Test func noLifeBreaksAPromise() {
        if let seed = Self.number("BURST_SEED") {
            let life = Simulation(seed: seed)
            #expect(life.broken == nil)
            return
        }
        let count = Self.number("BURST_SEEDS") ?? 300
        var broken: [String] = []
        var decisions = 0
        var crashes = 0
        for seed in 1...count {
            let life = Simulation(seed: seed)
            decisions += life.decisions
            crashes += life.crashes
            if let text = life.broken { broken.append(text) }
            if broken.count == 5 { break }
        }
        #expect(broken.isEmpty)
        // Chance that does nothing would find nothing.
        #expect(decisions > 100 * Int(count))
        #expect(crashes > Int(count) / 2)
    }
}
