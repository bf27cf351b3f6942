import BurstEngine
import BurstModel
import BurstStore
import BurstTestSupport
import Glibc
import Testing

@testable import BurstStore

/// `burst fsck`: what is wrong is found, and mended where nothing is lost by that.
@Suite struct CheckTests {
    private func staged(_ id: UInt32, size: UInt64 = 10) -> EngineJob {
        var job = EngineJob(
            id: id, uid: 1, gid: 1, userName: "alice", name: "job", priority: 1, submitted: Samples.at(0))
        job.reason = .resources
        var work = BufferWork(spec: "#BB_LUA", since: Samples.at(0))
        work.pool = "nvme"
        work.size = size
        work.created = Samples.at(1)
        work.stage = .stagedIn
        job.buffer = work
        return job
    }

    private func pool(used: UInt64) -> BurstEngine.Record {
        .pools([EnginePool(name: "nvme", total: 100, used: used)])
    }

    private func mend(_ there: TemporaryStore, folders: Set<UInt32>? = nil) throws -> [String] {
        try there.store.repair(try there.store.check(jobFolders: folders), at: Samples.at(9))
    }

    @Test func aSoundStoreHasNoFindings() throws {
        let there = try TemporaryStore()
        try there.store.persist([.job(staged(1)), .job(staged(2)), .job(Samples.plainJob), pool(used: 20)])
        #expect(try there.store.check(jobFolders: [1, 2, 18]) == [])
        #expect(try mend(there) == [])
    }

    @Test func usedSpaceIsSetRight() throws {
        let there = try TemporaryStore()
        try there.store.persist([.job(staged(1)), pool(used: 30)])
        #expect(
            try there.store.check().map(\.description) == [
                "pool nvme: used is 30, its buffers are 10 together; --repair sets used to 10"
            ])
        #expect(try mend(there) == ["pool nvme: used is 10"])
        #expect(try there.store.check() == [])
        #expect(try there.store.recover().pools.first?.used == 10)
    }

    @Test func buffersAreListedAndGivenBack() throws {
        let there = try TemporaryStore()
        var hidden = staged(1)
        hidden.buffer?.created = nil
        var left = staged(2)
        left.buffer?.stage = .complete
        left.state = .completed
        try there.store.persist([.job(hidden), .job(left), pool(used: 10)])
        #expect(
            try there.store.check().map(\.repair) == [.setCreated(job: 1), .clearCreated(job: 2)])
        #expect(
            try mend(there) == ["job 1: its buffer is listed again", "job 2: its buffer is not listed"])
        #expect(try there.store.check() == [])
        let jobs = try there.store.recover().jobs
        #expect(jobs.map(\.buffer?.created) == [Samples.at(9), nil])
        #expect(try there.store.recover().pools.first?.used == 10)
    }

    @Test func usedSpaceIsRightAfterSeveralRepairs() throws {
        let there = try TemporaryStore()
        var hidden = staged(1)
        hidden.buffer?.created = nil
        try there.store.persist([.job(hidden), .job(staged(2, size: 7)), pool(used: 99)])
        #expect(try mend(there).count == 2)
        #expect(try there.store.check() == [])
        #expect(try there.store.recover().pools.first?.used == 17)
    }

    @Test func rowsThatCannotBeReadAreSetAside() throws {
        let there = try TemporaryStore()
        try there.store.persist([.job(staged(1)), .job(staged(2)), .job(staged(3)), pool(used: 10)])
        try there.store.tamper("UPDATE jobs SET job = '{' WHERE id = 1")
        try there.store.tamper("UPDATE jobs SET job = json_set(job, '$.state', 'ASLEEP') WHERE id = 2")
        let fault = refusal { _ = try there.store.recover() }
        #expect(fault?.kind == .damaged)
        #expect(fault?.description.contains("table jobs: job 1 cannot be read, nothing was changed; ") == true)
        #expect(
            try mend(there) == [
                "job 1: its row is in the table set_aside", "job 2: its row is in the table set_aside",
            ])
        #expect(try there.store.recover().jobs == [staged(3)])
        #expect(
            try there.store.query(sql: "SELECT id, at, job LIKE '%ASLEEP%' FROM set_aside").rows == [
                [.integer(1), .integer(Samples.at(9).milliseconds), .integer(0)],
                [.integer(2), .integer(Samples.at(9).milliseconds), .integer(1)],
            ])
    }

    @Test func stagesWithoutMeaningAreFound() throws {
        let there = try TemporaryStore()
        var job = staged(1)
        job.buffer?.stage = .stagingIn(BufferWork.Step(.postRun))
        try there.store.persist([.job(job), pool(used: 10)])
        #expect(
            try there.store.check().map(\.text) == [
                "job 1: staging-in, and it waits for slurm_bb_post_run",
                "job 1: staging-in: no call is under way and none is due",
            ])
        #expect(try mend(there) == [])
    }

    @Test func foldersAndJobsBelongTogether() throws {
        let there = try TemporaryStore()
        var over = Samples.plainJob
        over.state = .completed
        try there.store.persist([.job(staged(1)), .job(over), pool(used: 10)])
        mkdir(there.path + "/hash.7", 0o700)
        for name in ["job.17", "job.1", "job.x7", "job.007", "other"] { mkdir("\(there.path)/hash.7/\(name)", 0o700) }
        let ids = try JobFolders.ids(in: there.path)
        #expect(ids == [17])
        #expect(
            try there.store.check(jobFolders: ids).map(\.description) == [
                "job 17: there is a folder and no such job; --repair moves it to lost+found",
                "job 1: its folder with script and environment is gone; "
                    + "restore it, or cancel the job: scancel --hurry 1",
            ])
        #expect(try mend(there, folders: ids) == ["job 17: its folder is \(there.path)/lost+found/job.17"])
        mkdir("\(there.path)/hash.7/job.17", 0o700)
        #expect(access("\(there.path)/lost+found/job.17", F_OK) == 0)
        mkdir("\(there.path)/lost+found/job.17/script", 0o700)
        #expect(try mend(there, folders: ids) == ["job 17: its folder is \(there.path)/lost+found/job.17.1"])
        #expect(try JobFolders.ids(in: there.path) == [])
    }

    @Test func damagedIndexesAreMadeAnew() throws {
        let there = try TemporaryStore()
        try there.store.persist([.change(Samples.change(1)), .change(Samples.change(2))])
        // The index is taken for one of another column.
        try there.store.tamper(
            """
            PRAGMA writable_schema = 1;
            UPDATE sqlite_schema SET sql = replace(sql, '(job_id, id)', '(uid, id)')
                WHERE name = 'state_changes_by_job'
            """)
        there.store.close()
        let store = try Store.open(folder: there.path)
        let findings = try store.check()
        #expect(
            findings.first?.description == "database: row 1 missing from index state_changes_by_job; "
                + "--repair makes the indexes anew")
        #expect(try store.repair(findings, at: Samples.at(9)) == ["indexes: made anew"])
        #expect(try store.check() == [])
    }
}
