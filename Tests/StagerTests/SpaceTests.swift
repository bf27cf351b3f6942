import BurstModel
import BurstStager
import BurstTestSupport
import Testing

/// Granules: free is quantity less what lives, less what is in quarantine, less the reserve (staging.md §4.3).
@Suite struct SpaceTests {
    @Test(
        arguments: [
            (0, 0), (1, 1), (20, 1), (21, 2), (29, 2), (100, 5), (101, 6), (2048, 103),
            (UInt64.max, 922_337_203_685_477_581),
        ] as [(UInt64, UInt64)])
    func theReserveIsFiveOfAHundredRoundedUp(quantity: UInt64, reserve: UInt64) {
        #expect(StagerPool.usualReserve(quantity) == reserve)
    }

    @Test(arguments: [(1, 1), (16, 1), (17, 2), (0, 0), (UInt64.max, UInt64.max / 16 + 1)] as [(UInt64, UInt64)])
    func sizesAreRoundedUpToGranules(bytes: UInt64, granules: UInt64) {
        #expect(StagerPool(id: "a", granularity: 16, quantity: 1).granules(for: bytes) == granules)
    }

    @Test func severalPoolsAndConfigurations() throws {
        let scene = Scene(pools: [
            StagerPool(id: "nvme", granularity: 1 << 30, quantity: 100),
            StagerPool(id: "memory", granularity: 1 << 20, quantity: 100),
        ])
        let order = SetupOrder(
            token: "7", owner: Scene.alice,
            space: [
                SpaceRequest(pool: "memory", bytes: 5 << 20 | 1, access: [.striped, .private]),
                SpaceRequest(pool: "nvme", bytes: 1, access: [.swap]),
            ])
        #expect(scene.ask(.setup(order)) == .done)
        let session = try #require(scene.stager.current("7"))
        #expect(session.instances.map(\.bytes) == [6 << 20, 1 << 30])
        #expect(scene.snapshot.pools.map(\.free) == [94, 89])
        #expect(
            scene.ask(.paths(token: "7"))?.lines
                == [
                    "DW_JOB_STRIPED=/var/lib/burst/mnt/7_striped_scratch/",
                    "DW_JOB_PRIVATE=/var/lib/burst/mnt/7_private_scratch/",
                ])
    }

    /// `--capacity POOL:0` of a job that only uses, creates or destroys persistent buffers.
    @Test func noSpaceIsASessionAllTheSame() {
        let scene = Scene()
        #expect(scene.ask(Scene.setup("7", gibibytes: 0)) == .done)
        #expect(scene.free == 95)
        for verb: StagerVerb in [
            .dataIn(token: "7"), .paths(token: "7"), .preRun(token: "7", nodes: []), .postRun(token: "7"),
            .dataOut(token: "7"), .teardown(token: "7", hurry: false),
        ] {
            #expect(scene.ask(verb) == .done)
        }
        #expect(scene.stager.sessions.isEmpty)
    }

    @Test(arguments: [UInt64.max, UInt64.max - 1, 1 << 63]) func sizesBeyondAllMeasureAreRefused(bytes: UInt64) {
        let scene = Scene()
        let request = SpaceRequest(pool: "nvme", bytes: bytes)
        let order = SetupOrder(token: "7", owner: Scene.alice, space: [request, request])
        #expect(scene.ask(.setup(order))?.status == 1)
        #expect(scene.stager.sessions.isEmpty)
    }
}
