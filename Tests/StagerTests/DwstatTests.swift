import BurstModel
import BurstStager
import BurstTestSupport
import Testing

/// Cray's tables (staging.md §1.8), and what users' scripts do with them (F2).
@Suite struct DwstatTests {
    private static func scene() -> Scene {
        var settings = StagerSettings()
        settings.host = "nid00017"
        let scene = Scene(
            pools: [StagerPool(id: "wlm_pool", granularity: 512 << 20, quantity: 119_228, reserve: 0)],
            settings: settings)
        func setup(_ token: String, _ bytes: UInt64, _ access: [StagerSession.AccessMode], persistent: [String] = []) {
            let order = SetupOrder(
                token: token, owner: StagerSession.Owner(uid: 12345, gid: 100),
                space: [SpaceRequest(pool: "wlm_pool", bytes: bytes, access: access)], persistent: persistent)
            _ = scene.ask(.setup(order))
        }
        let buffer = CreateOrder(
            name: "myBBname", owner: StagerSession.Owner(uid: 777, gid: 100),
            space: SpaceRequest(pool: "wlm_pool", bytes: 1 << 40), access: AccessList(everyone: true))
        _ = scene.ask(.createPersistent(buffer))
        setup("783000000", 200 << 30, [.striped], persistent: ["myBBname"])
        setup("783000001", 458 << 30, [.striped, .private])
        _ = scene.ask(.dataIn(token: "783000000"))
        _ = scene.ask(.preRun(token: "783000000", nodes: ["nid00001", "nid00002"]))
        return scene
    }

    /// What the words stand for.
    private static func dwstat(
        _ words: [String], viewer: Dwstat.Viewer = .nobody, of scene: Scene = DwstatTests.scene()
    ) -> String {
        var dwstat = Dwstat()
        let tables = words.compactMap(Dwstat.Table.init)
        if !tables.isEmpty { dwstat.selection = .tables(tables) }
        for word in words {
            switch word {
            case "most": dwstat.selection = .most
            case "all": dwstat.selection = .all
            case "-H": dwstat.isDecimal = true
            case "--json": dwstat.isJSON = true
            case "--compat=2015": dwstat.compatibility = .y2015
            default: break
            }
        }
        return String(decoding: dwstat.answer(scene.snapshot, viewer: viewer, zone: .fixed()), as: UTF8.self)
    }

    @Test func noArgumentIsPools() {
        #expect(
            Self.dwstat([]) == """
                    pool units quantity     free   gran
                wlm_pool bytes 58.22TiB 56.57TiB 512MiB

                """)
        #expect(Self.dwstat([]) == Self.dwstat(["pools"]))
    }

    @Test func everyTable() {
        let scene = Self.scene()
        func table(_ name: String, _ more: String...) -> String { Self.dwstat([name] + more, of: scene) }
        #expect(
            table("sessions") == """
                sess state     token creator owner             created expiration nodes
                   1 CA---  myBBname     CLI   777 2027-01-15T08:00:00      never     0
                   8 CA--- 783000000   SLURM 12345 2027-01-15T08:00:00      never     2
                  16 CA--- 783000001   SLURM 12345 2027-01-15T08:00:00      never     0

                """)
        #expect(
            table("instances").split(separator: "\n") == [
                "inst state sess  bytes nodes             created expiration intact    label  public confs",
                "   2 CA---    1   1TiB     1 2027-01-15T08:00:00      never   true myBBname  public     1",
                "   9 CA---    8 200GiB     1 2027-01-15T08:00:00      never   true     I8-0 private     1",
                "  17 CA---   16 458GiB     1 2027-01-15T08:00:00      never   true    I16-0 private     2",
            ])
        #expect(
            table("configurations") == """
                conf state inst    type access_type activs
                   4 CA---    2 scratch     striped      1
                  11 CA---    9 scratch     striped      1
                  19 CA---   17 scratch     striped      0
                  21 CA---   17 scratch     private      0

                """)
        #expect(
            table("configurations", "--compat=2015") == """
                conf state inst    type activs
                   4 CA---    2 scratch      1
                  11 CA---    9 scratch      1
                  19 CA---   17 scratch      0
                  21 CA---   17 scratch      0

                """)
        #expect(
            table("registrations") == """
                reg state sess conf wait
                 13 CA---    8   11 true
                 14 CA---    8    4 true
                 23 CA---   16   19 true
                 24 CA---   16   21 true

                """)
        #expect(
            table("fragments") == """
                frag state inst capacity   gran     node
                   3  CA--    2     1TiB 512MiB nid00017
                  10  CA--    9   200GiB 512MiB nid00017
                  18  CA--   17   458GiB 512MiB nid00017

                """)
        #expect(
            table("namespaces") == """
                ns state conf frag span
                 5  CA--    4    3    1
                12  CA--   11   10    1
                20  CA--   19   18    1
                22  CA--   21   18    1

                """)
        #expect(
            table("nodes") == """
                    node     pool online drain   gran capacity insts activs
                nid00017 wlm_pool online  fill 512MiB 58.22TiB     3      2

                """)
        #expect(
            table("nodes", "--compat=2015", "-H") == """
                    node     pool online drain     gran capacity insts activs
                nid00017 wlm_pool   true false 536.87MB  64.01TB     3      2

                """)
    }

    @Test func aTeardownIsSeen() throws {
        let scene = Self.scene()
        scene.world.plan = { effect in
            if case .remove = effect { StagerWorld.Plan(milliseconds: 100_000) } else { StagerWorld.Plan() }
        }
        _ = scene.ask(.teardown(token: "783000001", hurry: true))
        let lines = Self.dwstat(["sessions", "instances"], of: scene).split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("  16 D--T- 783000001") })
        #expect(lines.contains { $0.contains("17 D--T-   16 458GiB") })
    }

    @Test func severalTablesAreSeparatedAndMostNamesWhatIsNotThere() throws {
        let scene = Scene()
        #expect(
            Self.dwstat(["most"], of: scene).hasSuffix(
                "\n\ndid not find any sessions, instances, cache configurations, configurations, registrations, "
                    + "activations, fragments, namespaces\n"))
        #expect(Self.dwstat(["sessions"], of: scene) == "did not find any sessions\n")
        let full = Self.scene()
        let both = Self.dwstat(["pools", "nodes"], of: full)
        #expect(both.split(separator: "\n\n").count == 2)
        #expect(Self.dwstat(["most"], of: full).hasSuffix("\ndid not find any cache configurations\n"))
        #expect(Self.dwstat(["all"], of: scene).split(separator: "\n\n").count == 9)
    }

    /// X4: mounts, errors and progress are the owner's and the operators' affair.
    @Test func whatIsPrivateIsShownToItsOwner() throws {
        let scene = Self.scene()
        for viewer: Dwstat.Viewer in [.nobody, .user(777), .user(12346)] {
            for arguments in [["all"], ["all", "--json"], ["activations", "sessions", "--json"]] {
                let text = Self.dwstat(arguments, viewer: viewer, of: scene)
                #expect(!text.contains("/"))
                #expect(!text.contains("last_error\":\"") && !text.contains("progress"))
            }
        }
        let mine = Self.dwstat(["activations"], viewer: .user(12345), of: scene)
        #expect(mine.contains("/var/lib/burst/mnt/783000000_striped_scratch"))
        #expect(Self.dwstat(["activations"], viewer: .operator, of: scene) == mine)
        _ = try JSON(Self.dwstat(["all", "--json"], viewer: .operator, of: scene).utf8)
    }

    @Test func ourJSONHasEveryTable() throws {
        let json = try JSON(Self.dwstat(["all", "--json"], viewer: .operator).utf8)
        #expect(json["schema"].number == Int64(Dwstat.schema))
        #expect(json["sessions"].elements.map(\.["phase"].text) == ["ready", "running", "ready"])
        #expect(json["sessions"].elements.map(\.["slurm_state"].text) == ["allocated", "running", "staging-in"])
        #expect(json["pools"].elements.map(\.["free"].number) == [119_228 - 2048 - 400 - 916])
        #expect(json["activations"].elements.count == 2)
        #expect(json["quarantine"].elements.isEmpty)
    }

    @Test(
        arguments: [
            (0, "0"), (1, "1B"), (1023, "1023B"), (1024, "1KiB"), (16 << 20, "16MiB"), (1 << 30, "1GiB"),
            (492_399_034_368, "458.58GiB"), (64_013_000_000_000, "58.22TiB"), ((1 << 40) - 1, "1TiB"),
            (UInt64.max, "16EiB"), (1_100_000_000, "1.02GiB"), (1_105_322_476, "1.03GiB"),
        ] as [(UInt64, String)])
    func sizesHaveAtMostTwoDecimals(bytes: UInt64, text: String) {
        #expect(IECSize.text(bytes) == text)
    }

    // MARK: F2

    /// The chains that users' scripts rely on, really run: `dwstat WORDS` prints our table.
    @Test(arguments: [
        ("dwstat sessions | grep 783000001 | awk '{print $1}'", "16"),
        ("dwstat sessions | grep myBBname | awk '{print $1}'", "1"),
        (
            """
            sess=$(dwstat sessions | grep 783000001 | awk '{print $1}')
            dwstat instances | awk -v s=$sess '$3 == s {print $1}'
            """, "17"
        ),
        (
            """
            sess=$(dwstat sessions | grep 783000001 | awk '{print $1}')
            inst=$(dwstat instances | grep " $sess " | awk '{print $1}')
            dwstat fragments | grep " $inst " | awk '{print $1, $NF}'
            """, "18 nid00017"
        ),
        ("dwstat most | sed -n 2p | awk '{print $5}'", "512MiB"),
        ("dwstat most | grep myBBname | grep public | awk '{print $1}'", "2"),
        ("dwstat instances | tail -1 | awk '{print $5}'", "1"),
        ("dwstat instances | tail -n 1 | awk '{print $1}'", "17"),
        ("dwstat nodes | sed 1d | awk '$3 == \"online\" {print $1}'", "nid00017"),
        ("dwstat pools | awk 'NR == 2 {print $5}'", "512MiB"),
        ("dwstat | awk '/wlm_pool/ {print $4}'", "56.57TiB"),
        ("dwstat configurations | awk '$3 == 17 && $5 == \"private\" {print $1}'", "21"),
        ("dwstat registrations | awk '$3 == 8 {print $4}' | sort -n | paste -s -d ' ' -", "4 11"),
    ])
    func aChainOfUsersFindsItsNumber(script: String, result: String) throws {
        let folder = try TemporaryFolder("burst-dwstat")
        let scene = Self.scene()
        for words in [
            "", "pools", "sessions", "instances", "configurations", "registrations", "fragments", "nodes", "most",
        ] {
            let arguments = words.isEmpty ? [] : [words]
            folder.write(Self.dwstat(arguments, of: scene), to: "dwstat-\(words)")
        }
        folder.write("dwstat() { cat \"\(folder.path)/dwstat-$*\"; }\n\(script)\n", to: "script")
        let ran = try PipedProgram.run(["/bin/sh", folder("script")], environment: ["PATH": "/usr/bin:/bin"])
        #expect(ran.errorText == "")
        #expect(ran.text == result + "\n")
    }
}
