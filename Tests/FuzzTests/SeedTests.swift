import BurstFuzz
import BurstTestSupport
import Testing

/// The seeds of the fuzz targets, and every input that once broke a promise, as ordinary tests.
@Suite struct SeedTests {
    @Test(arguments: FuzzTarget.all.map(\.name))
    func noSeedBreaksAPromise(name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let seeds = target.seeds()
        #expect(!seeds.isEmpty)
        for seed in seeds { target.check(seed) }
    }

    /// Ends of lines, of fields and of the text fall everywhere.
    @Test(arguments: FuzzTarget.all.map(\.name))
    func noCutSeedBreaksAPromise(name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        var checked = 0
        for seed in target.seeds().prefix(6) {
            for end in stride(from: 0, to: min(seed.count, 3000), by: max(1, min(seed.count, 3000) / 60)) {
                target.check(Array(seed[..<end]))
                checked += 1
            }
        }
        #expect(checked > 20)
    }
}
