import BurstClient
import BurstTestSupport
import Glibc
import Testing

/// The ready `burst_buffer.lua` as the script of a burstd that has the lua plugin itself, over its own stager.
@Suite(.enabled(if: ReferenceCluster.isUsable), .timeLimit(.minutes(15)))
struct OwnDaemonTests {
    @Test func burstdRunsTheReadyScript() throws {
        let users = try PipedProgram.run(
            [Fixtures.top + "/Tests/Reference/cluster", "users"], environment: ReferenceCluster.environment)
        #expect(users.end == .exited(0), "\(users.errorText)")
        let bin = try StagedPrograms.folder()
        let folder = try TemporaryFolder("burst-own", openToOthers: true)
        for name in ["conf", "pool", "run", "jobs"] { folder.makeFolder(name) }
        chmod(folder("pool"), 0o711)
        chmod(folder("jobs"), 0o1777)
        folder.write(
            "ClusterName=own\nBurstBufferType=burst_buffer/lua\nNodeName=localhost CPUs=4\n", to: "conf/slurm.conf")
        folder.write("PollInterval=1\n", to: "conf/burst_buffer.conf")
        folder.write(
            """
            [[pool]]
            name = "nvme"
            path = "\(folder("pool"))"
            granularity = "16MiB"
            quantity = 64
            driver = "accounting"
            metadata_reserve_percent = 0

            """, to: "conf/burst.toml")
        let script = Fixtures.bytes(of: Fixtures.top + "/Sources/BurstStageClient/Resources/burst_buffer.lua")
        folder.write(script, to: "conf/burst_buffer.lua")
        let environment = ReferenceCluster.environment.merging([
            "BURST_PROGRAMS": bin, "BURST_SOCKET": folder("run/burstd.sock"),
        ]) { $1 }
        func run(_ words: String..., seconds: Double = 60) throws -> PipedProgram.Result {
            try PipedProgram.run(words, environment: environment, seconds: seconds)
        }
        let made = try run("\(bin)/burst", "pool", "create", "nvme", "--on-root", "--config", folder("conf"))
        #expect(made.end == .exited(0), "\(made.text)\(made.errorText)")

        let burstd = try PipedProgram(
            [
                "\(bin)/burstd", "--config", folder("conf"), "--state", folder("state"), "--socket",
                folder("run/burstd.sock"), "--foreground",
            ], environment: environment)
        defer {
            burstd.signal(SIGTERM)
            _ = burstd.waitForEnd()
        }
        #expect(
            Wait.until(seconds: 60) {
                (try? BurstConnection.connect(path: folder("run/burstd.sock"), program: "test")) != nil
            })
        // The pools may come with the second look, 30 s after the first.
        let areThere = try Wait.until(seconds: 60, every: 0.5) {
            try run("\(bin)/burst", "show", "burst").text.contains("TotalSpace=1GiB")
        }
        #expect(areThere, "\(String(decoding: burstd.errors, as: UTF8.self))")

        let work = """
            set -e
            cd "$0"
            mkdir -p in/deep
            for i in $(seq 30); do head -c $((i * 1000)) /dev/urandom >in/deep/f$i; done
            ln -s deep/f1 in/link; chmod 640 in/deep/f2; touch -d 2001-02-03 in/deep/f3
            cat >job.sh <<END
            #!/bin/bash
            #BB_LUA jobdw pool=nvme capacity=64MiB
            #BB_LUA stage_in type=directory source=$0/in destination=\\$DW_JOB_STRIPED/in
            #BB_LUA stage_out type=directory source=\\$DW_JOB_STRIPED/in destination=$0/out
            test -f \\$DW_JOB_STRIPED/in/link
            END
            "$1/burst" submit job.sh
            """
        let submitted = try run(
            "/usr/sbin/runuser", "-u", "bbalice", "--", "/bin/bash", "-c", work, folder("jobs"), bin)
        #expect(submitted.end == .exited(0), "\(submitted.text)\(submitted.errorText)")
        let waited = try run("\(bin)/burst", "wait", "--staged-out", "1", seconds: 90)
        let trace = try run("\(bin)/burst", "trace", "1").text
        #expect(waited.end == .exited(0), "\(waited.text)\(waited.errorText)\(trace)")
        #expect(try TreeHash(of: folder("jobs/out")).differences(from: try TreeHash(of: folder("jobs/in"))) == [])
        // Each hook was called, and none waited for its copy.
        for hook in ["setup", "data_in", "test_data_in", "real_size", "paths", "pre_run", "data_out", "test_data_out"] {
            #expect(trace.contains("slurm_bb_\(hook)"), "\(hook): \(trace)")
        }
    }
}
