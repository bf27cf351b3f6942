import BurstTestSupport
import Testing

/// Lives by chance, with every promise checked after every decision; `stager-simulation` runs the many.
@Suite struct StagerSimulationTests {
    private static let seeds = SimulationSeeds.count(usual: 2000)
    private static let seedsAtATime = 100

    @Test(arguments: Array(stride(from: 1, through: seeds, by: seedsAtATime)))
    func noLifeBreaksAPromise(first: Int) {
        let last = min(first + Self.seedsAtATime - 1, Self.seeds)
        let lives = (first...last).map { StagerSimulation(seed: UInt64($0)) }
        #expect(lives.compactMap(\.broken).isEmpty)
        // Chance that does nothing would find nothing.
        guard lives.count == Self.seedsAtATime else { return }
        #expect(lives.reduce(0) { $0 + $1.decisions } > 10_000)
        #expect(lives.reduce(0) { $0 + $1.crashes } > 100)
        #expect(lives.reduce(0) { $0 + $1.jobs } > 500)
        #expect(lives.reduce(0) { $0 + $1.saves } > 0)
    }

    @Test func aSeedIsALife() {
        let first = StagerSimulation(seed: 7)
        let again = StagerSimulation(seed: 7)
        #expect(first.decisions == again.decisions)
        #expect(first.answers == again.answers)
    }
}
