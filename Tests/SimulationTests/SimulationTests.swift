import BurstEngine
import BurstTestSupport
import Testing

/// A few lives by chance, with every promise checked after every decision; `engine-simulation` runs the many.
@Suite struct SimulationTests {
    @Test(arguments: BurstPlugin.allCases)
    func noLifeBreaksAPromise(plugin: BurstPlugin) {
        let lives = (1...100).map { Simulation(seed: $0, plugin: plugin) }
        #expect(lives.compactMap(\.broken).isEmpty)
        // Chance that does nothing would find nothing.
        #expect(lives.reduce(0) { $0 + $1.decisions } > 10_000)
        #expect(lives.reduce(0) { $0 + $1.crashes } > 50)
    }

    @Test func aSeedIsALife() {
        let first = Simulation(seed: 7)
        let again = Simulation(seed: 7)
        #expect(first.decisions == again.decisions)
        #expect(first.crashes == again.crashes)
    }
}
