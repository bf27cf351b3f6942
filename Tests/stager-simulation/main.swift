// The stager's lives by chance, as many as wanted:
//   swift run -c release stager-simulation [FIRST [LAST]]
// runs the seeds FIRST to LAST (1 to 10000 without them; one seed with FIRST alone: that repeats a life) and fails with
// the first five that broke a promise. What is promised, and which faults are survived, stands in StagerWorld and
// StagerSimulation.
import BurstTestSupport
import Glibc

let words = CommandLine.arguments.dropFirst()
let numbers = words.compactMap { UInt64($0) }
guard numbers.count == words.count, numbers.count <= 2, numbers.count < 2 || numbers[0] <= numbers[1] else {
    print("usage: stager-simulation [FIRST [LAST]]: whole numbers")
    exit(2)
}
let first = numbers.first ?? 1
let last = numbers.count == 2 ? numbers[1] : numbers.first ?? 10_000

var broken = 0
var decisions = 0
var crashes = 0
var answers = 0
var saves = 0
var jobs = 0
for seed in first...last {
    let life = StagerSimulation(seed: seed)
    decisions += life.decisions
    crashes += life.crashes
    answers += life.answers
    saves += life.saves
    jobs += life.jobs
    if let text = life.broken {
        print(text)
        broken += 1
        if broken == 5 { break }
    }
}
print(
    "\(last - first + 1) seeds, \(decisions) decisions, \(crashes) crashes, \(jobs) jobs, \(answers) answers, "
        + "\(saves) late saves, \(broken) broken promises")
if broken > 0 {
    print("repeat one with: stager-simulation SEED")
    exit(1)
}
