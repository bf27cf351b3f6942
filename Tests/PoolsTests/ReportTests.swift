import BurstModel
import BurstTestSupport
import Testing

/// Accounts, leaks and what `burst pool list` and `burst pool check` print of them.
@Suite struct ReportTests {
    private typealias Name = PoolInventory.Name

    @Test func whatIsFreeIsWhatIsLeftOfAll() {
        let account = PoolAccount(quantity: 640, live: 100, quarantined: 40)
        #expect(account.reserve == 32)
        #expect(account.free == 468)
        // Rounded up, so that a small pool has a reserve too.
        #expect(PoolAccount(quantity: 10).reserve == 1)
        #expect(PoolAccount(quantity: 10, reservePercent: 0).free == 10)
        #expect(PoolAccount(quantity: 10, live: 9, quarantined: 9).free == 0)
        #expect(PoolAccount(quantity: .max, live: .max).free == 0)
        #expect(PoolAccount(quantity: .max).reserve > .max / 21)
    }

    @Test func granulesAreRoundedUp() {
        #expect(PoolAccount.granules(bytes: 0, granularity: 16) == 1)
        #expect(PoolAccount.granules(bytes: 16, granularity: 16) == 1)
        #expect(PoolAccount.granules(bytes: 17, granularity: 16) == 2)
        #expect(PoolAccount.granules(bytes: .max, granularity: 1 << 20) == 1 << 44)
    }

    @Test func buffersHaveOneWayToBeWritten() {
        #expect(Name("12.3") == Name(id: 12, generation: 3))
        for text in ["", "1", "1.", ".1", "1.2.3", "01.2", "+1.2", "1.-2", "a.b", "1. 2", "1.99999999999999999999"] {
            #expect(Name(text) == nil, "\(text)")
        }
    }

    private let now = Timestamp(milliseconds: 10_000_000)
    private var longAgo: Timestamp { now.adding(seconds: -3600) }

    private func buffer(_ id: UInt64, since: Timestamp? = nil) -> PoolInventory.Buffer {
        PoolInventory.Buffer(name: Name(id: id, generation: 1), bytes: 1 << 30, createdAt: since ?? longAgo)
    }

    private func leaks(
        _ known: [KnownSession] = [], _ change: (inout PoolInventory) -> Void
    ) -> [Leak] {
        var found = PoolInventory()
        change(&found)
        return Reconciliation.leaks(known: known, found: found, now: now)
    }

    @Test func nothingAndWhatIsKnownIsNoLeak() {
        #expect(leaks { _ in } == [])
        let known = [KnownSession(name: Name(id: 1, generation: 1), exposed: ["91_striped_scratch"])]
        #expect(
            leaks(known) {
                $0.buffers = [buffer(1)]
                $0.exposed = [.init(name: "91_striped_scratch", since: longAgo)]
            } == [])
    }

    @Test func eachDifferenceHasItsClassAgeBytesAndRepair() {
        let known = [KnownSession(name: Name(id: 1, generation: 1)), KnownSession(name: Name(id: 2, generation: 1))]
        let found = leaks(known) { found in
            var unmounted = buffer(2)
            unmounted.isUnmounted = true
            var half = buffer(3)
            half.isReady = false
            var persistent = buffer(5)
            persistent.isPersistent = true
            found.buffers = [unmounted, half, buffer(4), persistent]
            found.quarantined = [
                .init(entry: "6.1.7", bytes: 5, since: longAgo),
                .init(entry: "7.1.7", bytes: 6, since: longAgo, isUnfinished: true),
            ]
            found.exposed = [.init(name: "old_striped_scratch", since: longAgo)]
            found.directories = [.init(name: "odd", since: longAgo)]
            found.images = [.init(name: "8.1.img", bytes: 7, since: longAgo)]
            found.mounts = [.init(name: "/pool/x")]
            found.loops = [.init(name: "/dev/loop7")]
            found.projects = [.init(name: "1111621632", bytes: 8)]
            found.groups = [.init(name: "1/256", bytes: 9)]
        }
        #expect(
            found.map(\.description) == [
                "missing-buffer: 1.1 (0, age unknown; repair: none)",
                "unmounted-buffer: 2.1 (1GiB, since 1h; repair: mount)",
                "unknown-buffer: 4.1 (1GiB, since 1h; repair: quarantine)",
                "unknown-buffer: 5.1 (1GiB, since 1h; repair: none)",
                "half-allocated: 3.1 (1GiB, since 1h; repair: quarantine)",
                "unfinished-release: 7.1.7 (6, since 1h; repair: finish-release)",
                "quarantine: 6.1.7 (5, since 1h; repair: remove)",
                "stray-directory: odd (0, since 1h; repair: quarantine)",
                "stray-image: 8.1.img (7, since 1h; repair: remove)",
                "stray-name: old_striped_scratch (0, since 1h; repair: unmount)",
                "stray-mount: /pool/x (0, age unknown; repair: unmount)",
                "stray-loop: /dev/loop7 (0, age unknown; repair: detach)",
                "stray-project: 1111621632 (8, age unknown; repair: forget)",
                "stray-group: 1/256 (9, age unknown; repair: forget)",
            ])
    }

    @Test func whatIsBeingMadeOrRemovedIsNoLeak() {
        let young = now.adding(seconds: -59)
        #expect(
            leaks {
                $0.buffers = [buffer(1, since: young)]
                $0.quarantined = [.init(entry: "2.1.7", bytes: 1, since: young)]
                $0.exposed = [.init(name: "a", since: young)]
            } == [])
        // What is lost is so at once.
        var lost = buffer(1, since: young)
        lost.isLost = true
        let known = [KnownSession(name: lost.name)]
        #expect(leaks(known) { $0.buffers = [lost] }.map(\.kind) == [.lostBuffer])
        // The same job in a later generation does not make the earlier buffer known.
        let later = [KnownSession(name: Name(id: 1, generation: 2))]
        #expect(leaks(later) { $0.buffers = [buffer(1)] }.map(\.kind) == [.missingBuffer, .unknownBuffer])
    }

    private var byHosts: StagingSettings {
        var staging = StagingSettings()
        staging.nodes = 4
        staging.verify = .inline
        return staging
    }

    private var pools: [PoolReport] {
        [
            PoolReport(
                name: "nvme", path: "/mnt/nvme", granularity: 16 << 20, driver: .btrfs,
                account: PoolAccount(quantity: 640, live: 64, quarantined: 4), buffers: 3, quarantinedBuffers: 1,
                fileSystemFree: 1 << 33, staging: byHosts),
            PoolReport(
                name: "far", path: "/far\u{1b}[2J", granularity: 1 << 30, driver: .accounting,
                account: PoolAccount(quantity: 100), buffers: 0,
                leaks: [Leak(kind: .strayMount, name: "/lustre/x/y", ageSeconds: 90, bytes: 0, repair: .unmount)]),
            PoolReport(
                name: "gone", path: "/mnt/gone", granularity: 1 << 20,
                faults: ["/mnt/gone: has no mark of a pool; mount it"]),
        ]
    }

    @Test func theListIsATable() {
        #expect(
            PoolText.list(pools) == """
                POOL  DRIVER      LIMIT  GRANULARITY  QUANTITY  USED  QUARANTINE      FREE  BUFFERS  VERIFY  PATH
                nvme  btrfs       hard         16MiB     10GiB  1GiB       64MiB   8640MiB        3  inline  /mnt/nvme
                far   accounting  soft          1GiB    100GiB     0           0     95GiB        0  size    /far?[2J
                gone  -           -             1MiB         -     -           -  unusable        -  size    /mnt/gone

                """)
        #expect(PoolText.list([]).split(separator: "\n").count == 1)
    }

    @Test func theCheckSaysALineForEachThing() {
        #expect(
            PoolText.check(pools) == """
                nvme: ok (btrfs, hard limit, 540 of 640 granules free)
                far: stray-mount: /lustre/x/y (0, since 1m; repair: unmount)
                gone: /mnt/gone: has no mark of a pool; mount it

                """)
        #expect(PoolText.exitCode(pools) == 2)
        #expect(PoolText.exitCode(Array(pools.prefix(2))) == 1)
        #expect(PoolText.exitCode(Array(pools.prefix(1))) == 0)
        #expect(PoolText.exitCode([]) == 0)
    }

    @Test func theJSONHasAllOfIt() throws {
        let document = try JSON(PoolText.json(pools))
        let list = document["pools"].elements
        #expect(list.count == 3)
        #expect(list[0]["name"].text == "nvme")
        #expect(list[0]["usable"].flag == true)
        #expect(list[0]["hard_limit"].flag == true)
        #expect(list[0]["free"].number == 540)
        #expect(list[0]["reserve"].number == 32)
        #expect(list[0]["granularity_bytes"].number == 16 << 20)
        #expect(list[0]["file_system_free_bytes"].number == 1 << 33)
        #expect(list[0]["nodes"].number == 4)
        #expect(list[0]["verify"].text == "inline")
        #expect(list[0]["copier"].text == "burst-stage")
        #expect(list[1]["hard_limit"].flag == false)
        #expect(list[1]["leaks"].elements.first?["class"].text == "stray-mount")
        #expect(list[1]["leaks"].elements.first?["age_seconds"].number == 90)
        #expect(list[2]["free"] == .null)
        #expect(list[2]["driver"] == .null)
        #expect(list[2]["faults"].elements.first?.text == "/mnt/gone: has no mark of a pool; mount it")
    }

    @Test func sizesAreExact() {
        #expect(PoolText.size(0) == "0")
        #expect(PoolText.size(1) == "1")
        #expect(PoolText.size(1536) == "1536")
        #expect(PoolText.size(1536 << 10) == "1536KiB")
        #expect(PoolText.size(1 << 50) == "1PiB")
        #expect(PoolText.size(.max) == "18446744073709551615")
    }
}
