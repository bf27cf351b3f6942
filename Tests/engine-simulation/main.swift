// The engine's lives by chance, as many as wanted:
//   swift run -c release engine-simulation [FIRST [LAST]]
// runs lives of both plugins with the seeds FIRST to LAST (1 to 10000 without them; one seed with FIRST alone: that
// repeats a life) and fails with the first five that broke a promise. What is promised, and which faults are survived,
// stands in EngineWorld and Simulation.
import BurstEngine
import BurstTestSupport
import Glibc

let words = CommandLine.arguments.dropFirst()
let numbers = words.compactMap { UInt64($0) }
guard numbers.count == words.count, numbers.count <= 2, numbers.count < 2 || numbers[0] <= numbers[1] else {
    print("usage: engine-simulation [FIRST [LAST]]: whole numbers")
    exit(2)
}
let first = numbers.first ?? 1
let last = numbers.count == 2 ? numbers[1] : numbers.first ?? 10_000

var broken = 0
var decisions = 0
var crashes = 0
lives: for seed in first...last {
    for plugin in BurstPlugin.allCases {
        let life = Simulation(seed: seed, plugin: plugin)
        decisions += life.decisions
        crashes += life.crashes
        if let text = life.broken {
            print("\(plugin): \(text)")
            broken += 1
            if broken == 5 { break lives }
        }
    }
}
print("\(last - first + 1) seeds, \(decisions) decisions, \(crashes) crashes, \(broken) broken promises")
if broken > 0 {
    print("repeat one with: engine-simulation SEED")
    exit(1)
}
