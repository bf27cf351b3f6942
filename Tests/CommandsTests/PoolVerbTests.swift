import BurstTestSupport
import Glibc
import Testing

@testable import BurstCommands

/// `burst pool`: from a line in burst.toml to a pool that can be used, without a burstd.
@Suite struct PoolVerbTests {
    private struct Bench {
        let folder: TemporaryFolder

        init(driver: String = "accounting", quantity: String = "4") throws {
            folder = try TemporaryFolder("burst-cli")
            folder.makeFolder("conf")
            folder.makeFolder("pool")
            chmod(folder("pool"), 0o711)
            folder.write(
                """
                [[pool]]
                name = "fast"
                path = "\(folder("pool"))"
                granularity = "1MiB"
                quantity = \(quantity)
                driver = "\(driver)"

                """, to: "conf/burst.toml")
        }

        func burst(_ words: String...) -> Ran {
            Ran.run(["burst", "pool"] + words + ["--config", "conf"], on: "/nonexistent", folder: folder.path)
        }
    }

    @Test func aPoolIsCreatedOnceListedAndChecked() throws {
        let bench = try Bench()
        let before = bench.burst("check")
        #expect(before.status == 2)
        #expect(before.out.contains("has no mark of a pool"))
        let created = bench.burst("create", "fast", "--on-root")
        #expect(created.status == 0, "\(created.error)")
        #expect(
            created.out
                == "fast: created at \(bench.folder("pool")), 4 granules of 1MiB, driver accounting (soft limits)\n")
        let again = bench.burst("create", "fast", "--on-root")
        #expect(again.status == 2)
        #expect(again.error.contains("is a pool already"))
        #expect(bench.burst("check", "fast").out == "fast: ok (accounting, soft limit, 3 of 4 granules free)\n")
        let list = bench.burst("list")
        #expect(list.status == 0)
        #expect(list.out.split(separator: "\n").map { $0.split(separator: " ").first } == ["POOL", "fast"])
        #expect(bench.burst("list", "--json").out.contains("\"fast\""))
    }

    @Test func whatCannotBeIsOneLine() throws {
        let bench = try Bench()
        let other = bench.burst("create", "slow")
        #expect(other.status == 2)
        #expect(
            other.error == "burst: \(bench.folder("conf/burst.toml")): there is no pool slow; it has fast\n")
        bench.folder.remove("conf/burst.toml")
        let missing = bench.burst("list")
        #expect(missing.status == 2)
        #expect(missing.error.contains("there is no such file"))
        bench.folder.write("[[pool]]\nname = \"x\"\nspeed = 7\n", to: "conf/burst.toml")
        let unknown = bench.burst("list")
        #expect(unknown.status == 2)
        #expect(unknown.error.hasPrefix("burst: \(bench.folder("conf/burst.toml")):3: "))
        #expect(unknown.error.split(separator: "\n").count == 1)
    }
}
