import BurstSteps
import BurstTestSupport
import Glibc
import Testing

/// The script's files and its folder, opened as its owner.
@Suite struct FileTests {
    @Test func outputsAreEmptiedOrAppendedTo() async throws {
        let bench = try Bench()
        bench.folder.write("before\n", to: "home/1.out", mode: 0o666)
        var order = bench.order("#!/bin/sh\necho out\necho err >&2\n")
        order.appends = true
        #expect(try await bench.run(order)?.text == "0:0")
        #expect(bench.output() == "before\nout\nerr\n")
        bench.forget(1)
        order.appends = false
        order.stderr = bench.folder("home/1.err")
        #expect(try await bench.run(order)?.text == "0:0")
        #expect(bench.output() == "out\n")
        #expect(bench.folder.text(of: "home/1.err") == "err\n")
    }

    @Test(arguments: ["stdin", "stdout", "stderr"])
    func aFileThatCannotBeOpenedFailsTheLaunch(which: String) async throws {
        let bench = try Bench()
        var order = bench.order("#!/bin/sh\ntouch ran\n")
        let path = bench.folder("home/no folder/x")
        switch which {
        case "stdin": order.stdin = path
        case "stdout": order.stdout = path
        default: order.stderr = path
        }
        guard case .ended(let result) = try await bench.run(order) else {
            Issue.record("it did not end")
            return
        }
        #expect(result.exitCode == 0 && result.signal == StepResult.launchFailedSignal)
        #expect(result.note == "Could not open \(which) file \(path): No such file or directory")
        #expect(bench.folder.text(of: "jobs/1/step.log").contains("error: Could not open \(which) file"))
        #expect(!bench.folder.exists("home/ran"))
    }

    @Test func aFolderThatCannotBeEnteredIsReplaced() async throws {
        let bench = try Bench()
        var order = bench.order("#!/bin/sh\npwd\n")
        order.workDir = "/no/such"
        #expect(try await bench.run(order)?.text == "0:0")
        #expect(
            bench.output()
                == "slurmstepd: error: couldn't chdir to `/no/such': No such file or directory: going to /tmp instead\n/tmp\n"
        )
    }

    @Test(.enabled(if: Bench.Owner.isRoot, "needs root: files that root may open and the owner may not"))
    func rootsPowersEndBeforeTheFilesAreOpened() async throws {
        let bench = try Bench()
        var order = bench.order(
            "#!/bin/sh\npwd\ngrep -E '^(Uid|Gid|Groups|CapEff|CapPrm|NoNewPrivs)' /proc/self/status\n")
        bench.folder.makeFolder("secret")
        chmod(bench.folder("secret"), 0o700)
        order.workDir = bench.folder("secret")
        #expect(try await bench.run(order)?.text == "0:0")
        let output = bench.output()
        #expect(output.contains("Permission denied: going to /tmp instead\n/tmp\n"))
        let owner = Bench.Owner.current
        #expect(output.contains("Uid:\t\(owner.uid)\t\(owner.uid)\t\(owner.uid)\t\(owner.uid)\n"))
        #expect(output.contains("Gid:\t\(owner.gid)\t\(owner.gid)\t\(owner.gid)\t\(owner.gid)\n"))
        #expect(output.contains("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"))
        #expect(!output.contains("Groups:\t0 "))
        bench.forget(1)
        order.stdout = bench.folder("secret/out")
        #expect(try await bench.run(order)?.text == "0:53")
        #expect(!bench.folder.exists("secret/out"))
        bench.forget(1)
        // An owner's link to a file of root's is followed with the owner's powers only.
        bench.folder.write("root's\n", to: "secret/target", mode: 0o600)
        symlink(bench.folder("secret/target"), bench.folder("home/link"))
        order.stdout = bench.folder("home/link")
        #expect(try await bench.run(order)?.text == "0:53")
        #expect(bench.folder.text(of: "secret/target") == "root's\n")
    }

    @Test(.enabled(if: Bench.Owner.isRoot, "needs root: only root could run a script as root"))
    func nothingRunsAsRoot() async throws {
        let bench = try Bench()
        var order = bench.order("#!/bin/sh\ntouch ran\n")
        order.uid = 0
        #expect(try await bench.run(order)?.text == "burst-stepd does not run scripts as root")
        #expect(!bench.folder.exists("home/ran"))
    }

    @Test(.enabled(if: Bench.Owner.isRoot, "needs root: scripts of two users"))
    func othersCannotReadTheScript() async throws {
        let bench = try Bench()
        try bench.runner.start(bench.order("#!/bin/sh\necho ready\nsleep 60\n"))
        #expect(await bench.said("ready"))
        var status = stat()
        #expect(stat(bench.folder("spool/job00001"), &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o750 && status.st_uid == 0 && status.st_gid == Bench.Owner.current.gid)
        #expect(stat(bench.folder("spool/job00001/slurm_script"), &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o700 && status.st_uid == Bench.Owner.current.uid)
        bench.runner.signal(jobID: 1, .kill)
        #expect(await bench.end()?.text == "0:9")
    }

    @Test func badOrdersAreRefusedInOneLine() throws {
        let bench = try Bench()
        func fault(_ change: (inout StepOrder) -> Void) -> String? {
            var order = bench.order("#!/bin/sh\n")
            change(&order)
            do {
                try bench.runner.start(order)
                return nil
            } catch {
                return error.description
            }
        }
        #expect(fault { $0.stdout = "relative" } == "the script's order: relative does not begin with /")
        #expect(fault { $0.userName = "" } == "the script's order: the user has no name")
        #expect(
            fault { $0.environment = ["NOVALUE"] } == "the script's order: NOVALUE in the environment is not NAME=value"
        )
        #expect(fault { $0.arguments = ["a\0b"] } == "the script's order: arg holds a byte 0")
        #expect(fault { $0.killWaitSeconds = -1 }?.contains("KillWait is -1") == true)
        #expect(fault { $0.folder = bench.folder("no/such") }?.hasSuffix("no/such: No such file or directory") == true)
        #expect(fault { $0.environment = Array(repeating: "A=1", count: 70000) }?.contains("65536") == true)
        #expect(throws: StepFault.program("/no/such/burst-stepd", ENOENT)) {
            try ProcessSteps(program: "/no/such/burst-stepd", spool: bench.folder("spool"))
        }
    }

    @Test func aSpoolThatOthersMayWriteToIsRefused() throws {
        let bench = try Bench()
        #expect(throws: StepFault.spool(bench.folder("home"))) {
            try ProcessSteps(program: Programs.path(of: "burst-stepd"), spool: bench.folder("home"))
        }
        symlink(bench.folder("spool"), bench.folder("link"))
        #expect(throws: StepFault.spool(bench.folder("link"))) {
            try ProcessSteps(program: Programs.path(of: "burst-stepd"), spool: bench.folder("link"))
        }
    }

    @Test func oneStepAJobAtATime() async throws {
        let bench = try Bench()
        let order = bench.order("#!/bin/sh\nsleep 60\n")
        try bench.runner.start(order)
        #expect(throws: StepFault.isRunning(1)) { try bench.runner.start(order) }
        bench.runner.signal(jobID: 1, .kill)
        #expect(await bench.end() != nil)
        bench.forget(1)
        #expect(try await bench.run("#!/bin/sh\nexit 6\n")?.text == "6:0")
        bench.runner.stop()
        #expect(throws: StepFault.stopped) { try bench.runner.start(order) }
    }
}
