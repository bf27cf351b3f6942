import BurstModel
import BurstStager
import BurstTestSupport
import Testing

/// What Slurm's datawarp plugin polls (staging.md §1.3; §0, facts 2 and 3).
@Suite struct DocumentTests {
    /// What Slurm does to the text before it reads it: Python's way of writing is made JSON's.
    private static func rewritten(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            let apostrophe = UInt8(ascii: "'")
            if byte == UInt8(ascii: "u"), index + 1 < bytes.count, bytes[index + 1] == apostrophe { continue }
            out.append(byte == apostrophe ? UInt8(ascii: "\"") : byte)
        }
        return out
    }

    private static func busyScene() -> Scene {
        let scene = Scene()
        scene.bring("83", to: "running")
        _ = scene.ask(Scene.create("alpha", gibibytes: 3))
        _ = scene.ask(
            Scene.setup("84", gibibytes: 2, inLines: 1, persistent: ["alpha"], owner: Scene.bob)
        )
        _ = scene.ask(Scene.setup("85", gibibytes: 1))
        scene.world.plan = { effect in
            if case .remove = effect { StagerWorld.Plan(milliseconds: 100_000) } else { StagerWorld.Plan() }
        }
        _ = scene.ask(.teardown(token: "85", hurry: true))
        return scene
    }

    @Test(arguments: SlurmDocument.allCases) func aDocumentSurvivesSlurmsRewriting(document: SlurmDocument) throws {
        let bytes = document.bytes(Self.busyScene().snapshot)
        #expect(!bytes.contains(UInt8(ascii: "'")))
        #expect(Self.rewritten(bytes) == bytes)
        // No fraction, no exponent, no number in quotes: the reader takes whole numbers only.
        let json = try JSON(bytes)
        #expect(json.members.count == 1)
        let rows = try #require(json.members.values.first).elements
        #expect(!rows.isEmpty)
        for row in rows {
            // Slurm reads a number in quotes as none.
            for key in ["free", "granularity", "quantity", "created", "owner"] where row.members[key] != nil {
                #expect(row[key].number != nil)
            }
        }
    }

    @Test func poolsCountGranules() throws {
        let text = String(decoding: SlurmDocument.pools.bytes(Self.busyScene().snapshot), as: UTF8.self)
        #expect(
            text == """
                {"pools": [{"free": 81, "granularity": 1073741824, "id": "nvme", "quantity": 95, "units": "bytes"}]}

                """)
    }

    @Test func sessionsAndTheirInstancesBelongTogether() throws {
        let scene = Self.busyScene()
        let sessions = try JSON(SlurmDocument.showSessions.bytes(scene.snapshot))["sessions"].elements
        #expect(sessions.map(\.["token"].text) == ["83", "alpha"])
        let running = try #require(sessions.first)
        #expect(running["owner"].number == 1001)
        #expect(running["creator"].text == "SLURM")
        #expect(running["created"].number == 1_800_000_000)
        #expect(running["links"]["client_nodes"].elements == [.text("node1")])
        #expect(running["state"]["goal"].text == "create")
        #expect(sessions[1]["creator"].text == "CLI")
        let instances = try JSON(SlurmDocument.showInstances.bytes(scene.snapshot))["instances"].elements
        #expect(instances.map(\.["capacity"]["bytes"].number) == [10 << 30, 3 << 30])
        #expect(instances.map(\.["links"]["session"].number) == sessions.map(\.["id"].number))
        #expect(instances.map(\.["public"].flag) == [false, true])
        let configurations = try JSON(SlurmDocument.showConfigurations.bytes(scene.snapshot))["configurations"].elements
        #expect(configurations.map(\.["links"]["instance"].number) == instances.map(\.["id"].number))
        // Real, distinct ids: data-acc's texts made each of them 0.
        let ids = (sessions + instances + configurations).compactMap(\.["id"].number)
        #expect(Set(ids).count == 6 && !ids.contains(0))
    }

    @Test func anEmptyStagerStillHasItsArrays() throws {
        let scene = Scene(pools: [])
        for document in SlurmDocument.allCases {
            let members = try JSON(document.bytes(scene.snapshot)).members
            #expect(members.values.map(\.elements) == [[]])
            #expect(members.values.first == .array([]))
        }
    }

    @Test func aPoolThatIsAwayHasNothingFree() throws {
        let scene = Self.busyScene()
        scene.world.send(.poolState("nvme", .unavailable("it's away")))
        let pool = try #require(try JSON(SlurmDocument.pools.bytes(scene.snapshot))["pools"].elements.first)
        #expect(pool["free"].number == 0)
        #expect(pool["quantity"].number == 95)
    }

    @Test func numbersBeyondSlurmsAreItsLargest() throws {
        let scene = Scene(pools: [StagerPool(id: "huge", granularity: .max, quantity: .max)])
        let pool = try #require(try JSON(SlurmDocument.pools.bytes(scene.snapshot))["pools"].elements.first)
        #expect(pool["granularity"].number == .max)
    }

    /// Ten thousand sessions in pieces, and the whole is what the pieces are.
    @Test func tenThousandSessionsComeInPieces() throws {
        let snapshot = Many.snapshot(10_000)
        for document in SlurmDocument.allCases where document != .pools {
            var pieces: [[UInt8]] = []
            document.write(snapshot) { pieces.append($0) }
            #expect(pieces.count > 10)
            #expect(pieces.allSatisfy { $0.count < 2 * SlurmDocument.pieceBytes })
            let rows = try #require(try JSON(pieces.joined()).members.values.first).elements
            #expect(rows.count == 10_000)
        }
    }

    @Test func keysStandInTheSameOrderAlways() {
        let snapshot = Self.busyScene().snapshot
        for document in SlurmDocument.allCases {
            #expect(document.bytes(snapshot) == document.bytes(snapshot))
        }
        let text = String(decoding: SlurmDocument.showSessions.bytes(snapshot), as: UTF8.self)
        #expect(
            text.hasPrefix(
                #"{"sessions": [{"created": 1800000000, "creator": "SLURM", "expiration": 0, "expired": false, "id": 1, "#
            ))
    }
}
