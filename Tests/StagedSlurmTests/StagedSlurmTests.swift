import BurstTestSupport
import Glibc
import Testing

/// Debian's slurmctld with our buffers: what users asked for is what they get, whatever is restarted meanwhile
/// (staging.md §5 R4, F7, F8).
@Suite(.enabled(if: ReferenceCluster.isUsable), .timeLimit(.minutes(10)))
struct StagedSlurmTests {
    typealias Plugin = ReferenceCluster.Plugin

    /// All states in which slurmctld may be restarted, and the whole life of a job.
    @Test(arguments: Plugin.allCases) func treesGoInAndComeOutTheSame(plugin: Plugin) throws {
        let cluster = try StagedCluster(plugin)
        try cluster.makeSource()
        let job = try cluster.submitCopy(run: StagedCluster.work + "; echo buffer $DW_JOB_STRIPED")
        try cluster.waitForEnd(job)
        #expect(try cluster.differences() == [])
        #expect(try TreeHash(of: cluster.target).lines.count > 65)
        let place = "\(cluster.folder)/burst/state/mnt/\(job)_striped_scratch/"
        #expect(cluster.output(of: job) == "buffer \(place)\n")
        #expect(Wait.until(seconds: 20) { (try? cluster.isEmpty()) == true })
        // What the user sees.
        let status = try cluster.slurm.ask(["scontrol", "show", "bbstat"])
        #expect(status.text.contains("nvme bytes") && status.errors.isEmpty, "\(status.text)")
        let refused = try #require(throws: HarnessError.self) {
            try cluster.submit("jobdw pool=nvme capacity=0.5GiB", run: "true")
        }
        #expect(
            "\(refused)".contains("Slurm reads this as 0 bytes")
                || "\(refused)".contains("Burst Buffer request invalid"))
        let decimal = try #require(throws: HarnessError.self) {
            try cluster.submit("jobdw pool=nvme capacity=1.5GiB", run: "true")
        }
        #expect("\(decimal)".contains("capacity=1.5GiB: Slurm reads this as 1 byte; write capacity=1536MiB"))
    }
}
