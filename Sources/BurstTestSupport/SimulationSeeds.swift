import Glibc

/// How many lives by chance a test runs.
package enum SimulationSeeds {
    /// `BURST_STAGER_SEEDS`, or what is usual.
    package static func count(usual: Int) -> Int {
        getenv("BURST_STAGER_SEEDS").flatMap { Int(String(cString: $0)) } ?? usual
    }
}
