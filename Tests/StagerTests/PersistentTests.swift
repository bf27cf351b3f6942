import BurstModel
import BurstStager
import BurstTestSupport
import Testing

/// Persistent buffers: who may create, use and destroy them, and that a job never loses one under its feet.
@Suite struct PersistentTests {
    private let alice = StagerCaller(uid: 1001, isOperator: false)
    private let bob = StagerCaller(uid: 1002, isOperator: false)

    /// Slurm asks show_sessions at once, with locks held (staging.md §1.2).
    @Test func createdIsSaidWhenTheSessionIsListed() throws {
        let scene = Scene()
        var isListed = false
        scene.world.answered = { [scene] _, answer in
            guard answer.text == "created" else { return }
            let document = SlurmDocument.showSessions.bytes(scene.snapshot)
            isListed = String(decoding: document, as: UTF8.self).contains(#""token": "alpha""#)
        }
        _ = scene.ask(Scene.create("alpha"), seconds: 2)
        #expect(isListed)
        // And the file that stands in for us is written before the word is said.
        let effects = scene.effects
        let id = try #require(scene.stager.sessions.keys.first)
        let written = try #require(effects.firstIndex(of: .list(id)))
        let said = effects.firstIndex {
            if case .answer(_, let answer) = $0 { answer.text == "created" } else { false }
        }
        #expect(written < (try #require(said)))
    }

    @Test func theSameOrderAgainIsCreatedAgain() throws {
        let scene = Scene()
        #expect(scene.ask(Scene.create("alpha"))?.text == "created")
        #expect(scene.ask(Scene.create("alpha"))?.text == "created")
        #expect(scene.stager.sessions.count == 1)
        let other = try #require(scene.ask(Scene.create("alpha", owner: Scene.bob)))
        #expect(other == StagerAnswer(status: 1, text: "a buffer named alpha exists already"))
        #expect(scene.ask(Scene.create("alpha", gibibytes: 20))?.status == 1)
    }

    @Test(arguments: ["7alpha", "", "a/b", "a'b", String(repeating: "n", count: 129), "..", "ä"])
    func namesThatCouldBeMistakenAreRefused(name: String) throws {
        let answer = try #require(Scene().ask(Scene.create(name)))
        #expect(answer.status == 1)
        #expect(!answer.text.contains("created"))
    }

    @Test func accessIsStripedAndSizeIsSomething() {
        let scene = Scene()
        for access: [StagerSession.AccessMode] in [[.private], [.striped, .private], []] {
            let order = CreateOrder(
                name: "alpha", owner: Scene.alice, space: SpaceRequest(pool: "nvme", bytes: 1, access: access))
            #expect(scene.ask(.createPersistent(order))?.status == 1)
        }
        #expect(scene.ask(Scene.create("alpha", gibibytes: 0))?.status == 1)
    }

    @Test func theSiteSaysWhoMayCreate() {
        var settings = StagerSettings()
        settings.persistentCreators = [1001]
        let scene = Scene(settings: settings)
        #expect(scene.ask(Scene.create("alpha"))?.status == 0)
        #expect(scene.ask(Scene.create("beta", owner: Scene.bob))?.status == 1)
    }

    @Test func whoMayUseItIsTheOwnersAffair() {
        let scene = Scene()
        #expect(scene.ask(Scene.create("alpha"))?.text == "created")
        let use = Scene.setup("8", gibibytes: 0, persistent: ["alpha"], owner: Scene.bob)
        #expect(scene.ask(use)?.text == "persistent buffer alpha: permission denied")
        #expect(scene.ask(.access(name: "alpha", AccessList(users: [1002])), by: bob)?.status == 1)
        #expect(scene.ask(.access(name: "alpha", AccessList(users: [1002])), by: alice) == .done)
        #expect(scene.ask(use) == .done)
        var group = Scene.bob
        group.groups.insert(500)
        let byGroup = Scene.setup("9", gibibytes: 0, persistent: ["alpha"], owner: group)
        #expect(scene.ask(.access(name: "alpha", AccessList(groups: [500])), by: alice) == .done)
        #expect(scene.ask(byGroup) == .done)
        #expect(
            scene.ask(Scene.setup("10", gibibytes: 0, persistent: ["beta"]))?.text
                == "persistent buffer beta does not exist")
    }

    @Test func aJobFindsBothKindsOfPaths() throws {
        let scene = Scene()
        _ = scene.ask(Scene.create("alpha"))
        #expect(scene.ask(Scene.setup("8", persistent: ["alpha"])) == .done)
        let lines = try #require(scene.ask(.paths(token: "8"))).lines
        #expect(
            lines == [
                "DW_JOB_STRIPED=/var/lib/burst/mnt/8_striped_scratch/",
                "DW_PERSISTENT_STRIPED_alpha=/var/lib/burst/mnt/alpha_striped_scratch/",
            ])
    }

    @Test func aVariableHasANameThatAShellKnows() throws {
        let scene = Scene()
        _ = scene.ask(Scene.create("al-pha.2"))
        _ = scene.ask(Scene.setup("8", gibibytes: 0, persistent: ["al-pha.2"]))
        let lines = try #require(scene.ask(.paths(token: "8"))).lines
        #expect(lines == ["DW_PERSISTENT_STRIPED_al_pha_2=/var/lib/burst/mnt/al-pha.2_striped_scratch/"])
    }

    /// Slurm destroys before the job's own setup, even while another job uses the buffer (staging.md §1.2).
    @Test func aBufferInUseStaysUntilItsLastJobIsGone() throws {
        let scene = Scene()
        _ = scene.ask(Scene.create("alpha", gibibytes: 20))
        #expect(scene.ask(Scene.setup("8", persistent: ["alpha"])) == .done)
        #expect(scene.ask(.dataIn(token: "8")) == .done)
        #expect(scene.ask(.preRun(token: "8", nodes: ["node1"])) == .done)
        let id = try #require(scene.stager.current("alpha")).id
        #expect(scene.ask(.teardown(token: "alpha", hurry: false), seconds: 1) == .done)
        #expect(scene.phase("alpha") == nil)
        scene.world.run(seconds: 100)
        #expect(scene.world.folders[id] != nil && scene.world.mounted.contains(id))
        #expect(scene.free == 65)
        scene.world.restart()
        // The name is free again.
        #expect(scene.ask(Scene.create("alpha", gibibytes: 5))?.text == "created")
        #expect(scene.ask(.postRun(token: "8")) == .done)
        #expect(scene.ask(.teardown(token: "8", hurry: false)) == .done)
        scene.world.run(seconds: 10)
        #expect(scene.world.folders[id] == nil)
        #expect(scene.free == 90)
    }

    @Test func hurryTakesItAway() throws {
        let scene = Scene()
        _ = scene.ask(Scene.create("alpha", gibibytes: 20))
        #expect(scene.ask(Scene.setup("8", persistent: ["alpha"])) == .done)
        #expect(scene.ask(.teardown(token: "alpha", hurry: true)) == .done)
        scene.world.run(seconds: 10)
        #expect(scene.world.folders.count == 1)
        #expect(scene.ask(.teardown(token: "8", hurry: true)) == .done)
    }

    @Test func onlyOwnersAndOperatorsDestroy() {
        let scene = Scene()
        _ = scene.ask(Scene.create("alpha"))
        #expect(scene.ask(.teardown(token: "alpha", hurry: false), by: bob)?.text == "permission denied")
        // Nobody learns whether a name exists.
        #expect(scene.ask(.teardown(token: "beta", hurry: false), by: bob)?.text == "permission denied")
        #expect(scene.phase("alpha") == "ready")
        #expect(scene.ask(.teardown(token: "alpha", hurry: false), by: alice) == .done)
        #expect(scene.phase("alpha") == nil)
    }
}
