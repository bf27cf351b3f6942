import BurstEngine
import BurstModel
import BurstStager
import BurstTestSupport
import GRDB
import Glibc
import Testing

@testable import BurstStore

/// What the stager's decisions leave, and what a start makes of it.
@Suite struct StagerStoreTests {
    private static let now = Timestamp(milliseconds: 1_800_000_000_000)

    private static func session(_ id: UInt64, _ token: String) -> StagerSession {
        var session = StagerSession(
            id: SessionID(id), key: SessionKey(token: token, generation: 2),
            owner: StagerSession.Owner(uid: 1001, gid: 1002, groups: [7, 9]), creator: .slurm, created: now,
            plan: SessionPlan.Lines(stageIn: 1, stageOut: 2),
            phase: .stagingIn(
                StagerSession.Work(
                    worker: WorkerID(id + 9), since: now, until: now.adding(seconds: 86_390), attempt: 3)))
        session.instances = [
            StagerSession.Instance(
                id: id + 1, pool: "nvme", asked: 3, granules: .max, bytes: 16 << 20, fragment: id + 2,
                configurations: [StagerSession.Configuration(id: id + 3, access: .private, namespace: id + 4)])
        ]
        session.throttle = Throttle(bytesPerSecond: 0, filesPerSecond: nil)
        session.lastError = "No such \"file\" \u{1F980}"
        return session
    }

    private static let quarantined = QuarantinedBuffer(
        id: SessionID(90), key: SessionKey(token: "5", generation: 1),
        owner: StagerSession.Owner(uid: 1, gid: 2), creator: .cli, created: now, since: now,
        instances: session(90, "5").instances, removal: .again(at: now, failures: 3), lastError: nil)

    private static let pool = StagerPool(
        id: "nvme", granularity: 1 << 20, quantity: .max, reserve: 5, state: .unavailable("not mounted"), limit: .soft)

    @Test func whatWasWrittenIsThereAfterAStart() throws {
        let there = try TemporaryStore()
        let (first, second) = (Self.session(1, "83"), Self.session(40, "alpha"))
        try there.store.persist(
            [
                .pool(Self.pool), .session(first), .plan(first.id, "stage-plan 1\nend 0\n"), .session(second),
                .plan(second.id, "x"), .quarantined(Self.quarantined),
                .tombstone(Tombstone(key: SessionKey(token: "9", generation: .max), at: Self.now)),
                .tombstone(Tombstone(key: SessionKey(token: "10", generation: 1), at: Self.now)),
                .generationFloor(17), .nextID(123), .entered(first.id, token: "83", phase: "staging-in", at: Self.now),
            ] as [StagerRecord])
        var later = first
        later.phase = .stagedIn
        try there.store.persist(
            [
                .session(later), .forgetSession(second.id), .forgetTombstone(token: "10"), .nextID(124),
            ] as [StagerRecord])
        there.store.close()
        let store = try Store.open(folder: there.path)
        let state = try store.recoverStager()
        #expect(state.sessions == [later])
        #expect(state.plans == [first.id: "stage-plan 1\nend 0\n"])
        #expect(state.quarantine == [Self.quarantined])
        #expect(state.pools == [Self.pool])
        #expect(state.tombstones == [Tombstone(key: SessionKey(token: "9", generation: .max), at: Self.now)])
        #expect(state.generationFloor == 17)
        #expect(state.nextID == 124)
        let history = try store.query(sql: "SELECT token, phase FROM stagings")
        #expect(history.rows.count == 1)
        try store.persist([.forgetQuarantined(SessionID(90)), .forgetPool("nvme")] as [StagerRecord])
        #expect(try store.recoverStager().quarantine == [])
        #expect(try store.recoverStager().pools == [])
    }

    @Test func aNewStateIsEmpty() throws {
        let state = try TemporaryStore().store.recoverStager()
        #expect(state.sessions == [] && state.pools == [] && state.tombstones == [])
        #expect(state.nextID == 1)
    }

    /// A database of before there was a stager has its tables after the first start.
    @Test func schemaOneGetsTheStagersTables() throws {
        let folder = try TemporaryFolder()
        folder.makeFolder("state")
        let path = Fixtures.top + "/Tests/StoreTests/Upgrades/schema-1.db"
        folder.write(Fixtures.bytes(of: path), to: "state/burst.db")
        let store = try Store.open(folder: folder("state"))
        try store.persist([.session(Self.session(1, "83"))] as [StagerRecord])
        #expect(try store.recoverStager().sessions.map(\.token) == ["83"])
        #expect(try store.recover().nextJobID == 400)
    }

    @Test func rowsThatCannotBeReadAreSaid() throws {
        let there = try TemporaryStore()
        try there.store.persist([.session(Self.session(1, "83"))] as [StagerRecord])
        try there.store.writer.write { try $0.execute(sql: "UPDATE stager_sessions SET session = '{}'") }
        let fault = refusal { _ = try there.store.recoverStager() }
        #expect(fault?.kind == .damaged)
        #expect(fault?.description.contains("table stager_sessions: row 1 cannot be read") == true)
    }

    @Test func itsHistoryIsBoundedToo() throws {
        let there = try TemporaryStore()
        let records = (0..<300).map { number in
            StagerRecord.entered(
                SessionID(1), token: "83", phase: "ready", at: Self.now.adding(seconds: -86_400 * (300 - number)))
        }
        try there.store.persist(records)
        while try there.store.trim(at: Self.now) {}
        let left = try there.store.query(sql: "SELECT count(*) FROM stagings")
        #expect(left.rows == [[.integer(30)]])
    }
}
