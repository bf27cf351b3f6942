import BurstEngine
import BurstModel
import BurstTestSupport
import BurstWire
import Glibc
import Testing

@testable import BurstDaemon

/// Folders of jobs, and what is read from them.
@Suite struct JobFilesTests {
    @Test(arguments: [
        ("", []), ("A=1\n", ["A=1"]), ("A=1\nB=2", ["A=1", "B=2"]), ("comment\nA=1\n", ["comment"]),
        ("A=1=2\ncomment\nB\n", ["A=1=2", "comment"]), ("A=é\u{1}\n", ["A=é\u{1}"]),
    ])
    func asManyLinesAreTakenAsThereAreSigns(text: String, lines: [String]) throws {
        let folder = try TemporaryFolder()
        let files = JobFiles(state: folder.path)
        try files.write(12, script: "#!/bin/sh\n", environment: [])
        try files.makePathFile(12)
        folder.write(text, to: "hash.2/job.12/path")
        #expect(try files.takePaths(12) == lines)
        // Q43: it does not stay.
        #expect(!folder.exists("hash.2/job.12/path"))
        #expect(throws: StateFault.self) { try files.takePaths(12) }
    }

    @Test func filesComeBackAsTheyWereAndGo() throws {
        let folder = try TemporaryFolder()
        let files = JobFiles(state: folder.path)
        try files.write(3, script: "#!/bin/sh\nexit\n", environment: ["A=1\n2", "B="])
        try files.link(from: 3, to: 14)
        #expect(try files.environment(14) == ["A=1\n2", "B="])
        var status = stat()
        #expect(stat(folder("hash.4/job.14/script"), &status) == 0 && status.st_nlink == 2)
        try files.writeSymbols(3, text: "x")
        #expect(folder.text(of: "hash.3/job.3/symbols") == "x")
        #expect(files.found().jobs == [3, 14])
        // A second time in the same place.
        try files.write(3, script: "new", environment: [])
        #expect(folder.text(of: "hash.3/job.3/script") == "new")
        #expect(folder.text(of: "hash.4/job.14/script") == "#!/bin/sh\nexit\n")
        files.remove(3)
        files.remove(14)
        #expect(files.found().jobs == [])
        #expect(files.found().strange == [])
    }

    @Test func whatCannotBeWrittenIsSaidWithItsPath() throws {
        let folder = try TemporaryFolder()
        folder.write("no folder", to: "hash.3")
        let error = #expect(throws: StateFault.self) {
            try JobFiles(state: folder.path).write(3, script: "", environment: [])
        }
        #expect(error?.description == "\(folder("hash.3"))/job.3.new: Not a directory")
    }

    @Test(arguments: [
        ("7", JobSelector.job(7)), ("7_3", .task(array: 7, task: 3)), ("7_[1-3,9]", .tasks(array: 7, [1, 2, 3, 9])),
    ])
    func jobsAreNamedAsInSlurm(text: String, selector: JobSelector) throws {
        #expect(try Orders.selector(text) == selector)
    }

    @Test(arguments: ["", "x", "-1", "7_", "7_[", "7_[3-1]", "7_[0-4294967295]", "99999999999", "7+1", "7_1_2"])
    func otherNamesAreNone(text: String) {
        #expect(throws: Refusal.noSuchJob) { try Orders.selector(text) }
    }

    @Test func slurmsVariablesAreSetAndPathsStandBehind() {
        var job = EngineJob(
            id: 9, uid: 1, gid: 1, userName: "u", name: "n", priority: 1, submitted: Timestamp(seconds: 0))
        job.arrayJobID = 7
        job.arrayTaskID = 2
        let made = JobEnvironment.make(
            job, submitted: ["A=1", "SLURM_JOB_ID=77", "=x", "B"], paths: ["A=2", "no sign", "C=3"],
            settings: EngineSettings())
        #expect(made.first == "A=2")
        #expect(made.contains("SLURM_JOB_ID=9"))
        #expect(made.contains("SLURM_ARRAY_TASK_ID=2"))
        #expect(made.last == "C=3")
        #expect(!made.contains("B") && !made.contains("no sign"))
    }

    @Test func scriptsThatAreNoTextAreRefused() {
        let owner = ClientQuestion.Owner(user: People.User(uid: 1, gid: 1, name: "u"), groupName: "g")
        let submission = BurstWire.Submission(name: "t", workDir: "/")
        for script: [UInt8] in [
            [0xff, 0xfe], [35, 33, 0], Array(repeating: 65, count: EngineLimits.scriptBytesMax + 1),
        ] {
            #expect(throws: Refusal.self) { try Orders.submit(submission, script: script, owner: owner) }
        }
        #expect(throws: Refusal.self) {
            try Orders.submit(BurstWire.Submission(name: "t", workDir: "here"), script: [65], owner: owner)
        }
    }

    @Test func manyJobsAreWrittenTogether() throws {
        let folder = try TemporaryFolder()
        let files = JobFiles(state: folder.path)
        try files.write(7, script: "old", environment: ["OLD=1"])
        let count = UInt32(JobFiles.togetherMax * 2 + 1)
        try files.write(
            (1...count).map { JobFiles.Texts(job: $0, script: "script \($0)", environment: ["JOB=\($0)"]) })
        let (jobs, strange) = files.found()
        #expect(jobs == Array(1...count) && strange == [])
        for job in [1, 7, count] {
            #expect(folder.text(of: "hash.\(job % 10)/job.\(job)/script") == "script \(job)")
            #expect(try files.environment(job) == ["JOB=\(job)"])
        }
    }
}
