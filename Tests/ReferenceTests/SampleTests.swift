import BurstModel
import BurstTestSupport
import Glibc
import Testing

/// burstmon on real clusters, one test after the other.
@Suite(.enabled(if: ReferenceCluster.isUsable), .serialized)
enum ReferenceTests {}

extension ReferenceTests {
    /// Every figure of every sample equals what Slurm's commands say, on real clusters of both plugins with jobs in all
    /// stages.
    @Suite(.timeLimit(.minutes(15)))
    struct SampleTests {
        static let seconds = getenv("BURST_REFERENCE_SECONDS").flatMap { Double(String(cString: $0)) } ?? 180

        /// Some twenty jobs, most of them held in a stage by their hooks. Returns those whose hook opens later.
        static func submitJobs(_ cluster: ReferenceCluster) throws -> [(hook: String, job: Int)] {
            var gates: [(String, Int)] = []
            for (index, hook) in ["setup", "data_in", "pre_run", "post_run", "data_out", "teardown"].enumerated() {
                let user = index % 2 == 0 ? "bbalice" : "bbbob"
                gates.append((hook, try cluster.submit("\(hook) gate", user: user, size: "\(20 + index)GiB")))
            }
            for hook in ["setup", "data_in", "pre_run", "data_out"] {
                _ = try cluster.submit(
                    "\(hook) fail 99 \(hook): something is wrong", user: "bbcarol", pool: "flash", size: "1GiB")
            }
            _ = try cluster.submit(
                "teardown fail 99 umount: target is busy", user: "bbdan", pool: "flash", size: "5000MB")
            _ = try cluster.submit("teardown fail 1 umount: busy once", user: "bbdan", pool: "flash", size: "256MiB")
            _ = try cluster.submit("data_in gate", user: "bbalice", options: ["--array=1-4%2", "-J", "genome-align"])
            _ = try cluster.submit(user: "bbbob", options: ["-H", "-J", "held"])
            _ = try cluster.submit(user: "bbbob", run: "sleep 600", options: ["-J", "größte-Simulation-Δt"])
            _ = try cluster.submit(user: "bberin", pool: "tokens", size: "40", run: "sleep 600")
            // One takes most of a pool, so that the next one waits.
            _ = try cluster.submit(user: "bberin", pool: "scratch", size: "5TiB", run: "sleep 600")
            _ = try cluster.submit(user: "bbdan", pool: "scratch", size: "2TiB", run: "sleep 600")
            let first = try cluster.submit("data_in sleep 20", user: "bbalice", run: "sleep 10")
            _ = try cluster.submit(user: "bbalice", options: ["--dependency=afterok:\(first)"])
            if cluster.plugin == .datawarp {
                let path = cluster.jobFile("persistent.sh")
                guard let file = fopen(path, "w") else { throw HarnessError("cannot write \(path)") }
                fputs(
                    "#!/bin/bash\n#BB create_persistent name=climate-cache capacity=100GiB access_mode=striped"
                        + " type=scratch pool=nvme\n:\n",
                    file)
                fclose(file)
                try cluster.steer("submit", ["bbalice", "--", "-o", "/dev/null", path])
            }
            return gates.map { (hook: $0.0, job: $0.1) }
        }

        @Test func everyFigureOfEverySampleIsWhatSlurmSays() throws {
            let clusters = try ReferenceCluster.Plugin.allCases.map {
                try ReferenceCluster($0, "--bb", "StageInTimeout=600")
            }
            var gates = try clusters.map(Self.submitJobs)
            var compared = clusters.map { _ in 0 }
            var tried = 0
            var fields = 0
            var stages = Set<String>()
            let begun = PseudoTerminal.now
            var failures = 0
            func elapsed() -> Double { Double(PseudoTerminal.now - begun) / 1e9 }
            while elapsed() < Self.seconds, failures < 5 {
                for (index, cluster) in clusters.enumerated() {
                    // The gates open one after the other in the second half, so that the sample moves.
                    let passed = elapsed() / Self.seconds - 0.5
                    if let gate = gates[index].first, passed > 0, passed * 12 > Double(6 - gates[index].count) {
                        gates[index].removeFirst()
                        cluster.open(gate.hook, of: gate.job)
                    }
                    tried += 1
                    let (burst, jobs) = (try cluster.ask(Said.scontrol), try cluster.ask(Said.squeue))
                    let json = try cluster.burstmon("--json")
                    let (burstAfter, jobsAfter) = (try cluster.ask(Said.scontrol), try cluster.ask(Said.squeue))
                    try #require(
                        burst.end == .exited(0) && jobs.end == .exited(0), "\(burst.errorText) \(jobs.errorText)")

                    // What is parsed and printed again is the reply, byte for byte.
                    for reply in [burst, burstAfter] {
                        let report = BurstReport.parse(showBurst: reply.output)
                        #expect(report.slurmText(BurstReport.Layout.detect(reply.output)) == reply.text)
                        #expect(report.faults == [])
                    }
                    guard burst.output == burstAfter.output, jobs.output == jobsAfter.output else { continue }
                    compared[index] += 1
                    #expect(json.end == .exited(0), "\(json.errorText)")
                    let comparison = Comparison(Said(burst: burst.text, squeue: jobs.text), try JSON(json.output))
                    fields += comparison.fields
                    stages.formUnion(comparison.said.jobs.compactMap { $0["BurstBufferState"] })
                    if !comparison.differences.isEmpty { failures += 1 }
                    #expect(
                        comparison.differences == [],
                        "\(cluster.plugin), after \(elapsed()) s\n\(burst.text)\n\(jobs.text)")
                }
            }
            print(
                "\(tried) samples, \(compared) of them while nothing moved, \(fields) fields; stages \(stages.sorted())"
            )
            for count in compared { #expect(count >= min(20, Int(Self.seconds / 10)), "of \(tried)") }
            let wanted: Set = ["pending", "staging-in", "pre-run", "running", "post-run", "staging-out", "teardown"]
            #expect(Self.seconds < 60 || stages.isSuperset(of: wanted), "\(stages.sorted())")
        }
    }
}
