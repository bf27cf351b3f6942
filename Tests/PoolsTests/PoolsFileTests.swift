import BurstModel
import BurstSettings
import Testing

/// The pools of `burst.toml`.
@Suite struct PoolsFileTests {
    private func refusal(_ text: String) -> String {
        do {
            return "accepted: \(try PoolsFile.pools(text, file: "burst.toml").count)"
        } catch {
            return "\(error)"
        }
    }

    @Test func slurmsUserIsNamedAboveThePools() throws {
        let contents = try PoolsFile.contents("slurm_user = \"slurmy\"\n" + pool(), file: "burst.toml")
        #expect(contents.slurmUser == "slurmy")
        #expect(contents.pools.map(\.name) == ["nvme"])
        #expect(try PoolsFile.contents(pool(), file: "burst.toml").slurmUser == nil)
        #expect(refusal("slurm_user = \"\"\n" + pool()).hasPrefix("burst.toml:1: slurm_user is empty; "))
        #expect(refusal("slurm_user = 3\n" + pool()).hasPrefix("burst.toml:1: "))
        #expect(refusal("slurmuser = \"a\"\n" + pool()).hasPrefix("burst.toml:1: unknown key \"slurmuser\"; "))
    }

    private func pool(_ lines: String...) -> String {
        let base = ["name = \"nvme\"", "path = \"/mnt/nvme\"", "granularity = \"16MiB\"", "quantity = 640"]
        var kept = base.filter { line in !lines.contains { $0.hasPrefix(line.prefix { $0 != "=" }) } }
        kept += lines
        return "[[pool]]\n" + kept.joined(separator: "\n") + "\n"
    }

    @Test func everyKeyIsTaken() throws {
        let text = """
            # Two pools.
            [[pool]]
            name = "nvme"
            path = "/mnt/nvme/burst"
            granularity = "16MiB"
            quantity = 640
            driver = "auto"

            [[pool]]
            name = "ram.1"
            path = "/run/burst-ram"
            granularity = 1048576
            quantity = "all"
            driver = "loop"
            image = "xfs"
            bytes_per_inode = "4KiB"
            metadata_reserve_percent = 10
            threads = 8
            bytes_per_second = "500 MiB"
            files_per_second = 2000
            """
        let pools = try PoolsFile.pools(text, file: "burst.toml")
        #expect(
            pools == [
                PoolSettings(
                    name: "nvme", path: "/mnt/nvme/burst", granularity: 16 << 20, quantity: .granules(640)),
                PoolSettings(
                    name: "ram.1", path: "/run/burst-ram", granularity: 1 << 20, quantity: .all, driver: .loop,
                    image: .xfs, bytesPerInode: 4096, metadataReservePercent: 10, threads: 8,
                    bytesPerSecond: 500 << 20, filesPerSecond: 2000),
            ])
        #expect(try PoolsFile.pools("", file: "burst.toml") == [])
        for driver in PoolDriver.allCases {
            #expect(
                try PoolsFile.pools(pool("driver = \"\(driver.rawValue)\""), file: "b").map(\.driver) == [driver])
        }
    }

    @Test func whatStagingSaysHoldsForPoolsThatDoNot() throws {
        let text =
            """
            [staging]
            verify = "inline"
            nodes = 4
            nodes_from = "1GiB"
            nodes_refused = "fail"
            nodes_wait_seconds = 5
            srun = "/opt/slurm/bin/srun"
            srun_options = ["-p", "staging area"]
            slurm_conf = "/etc/other/slurm.conf"
            nice = 5
            io_class = "idle"

            """ + pool() + "[[pool]]\nname = \"b\"\npath = \"/b\"\ngranularity = \"1GiB\"\nquantity = 1\n"
            + "nodes = 1\ncopier = \"dsync\"\ncopier_path = \"/opt/dsync\"\ncopier_options = [\"-b\", \"5\"]\n"
            + "launcher = [\"mpirun\", \"-np\", \"8\"]\nverify = \"readback\"\nio_class = \"best-effort\"\n"
        let pools = try PoolsFile.pools(text, file: "burst.toml")
        var wanted = StagingSettings()
        #expect(try PoolsFile.pools(pool(), file: "b").map(\.staging) == [wanted])
        wanted.verify = .inline
        wanted.nodes = 4
        wanted.nodesFrom = 1 << 30
        wanted.nodesRefused = .fail
        wanted.nodesWaitSeconds = 5
        wanted.srun = "/opt/slurm/bin/srun"
        wanted.srunOptions = ["-p", "staging area"]
        wanted.slurmConf = "/etc/other/slurm.conf"
        wanted.nice = 5
        wanted.ioClass = .idle
        #expect(pools.first?.staging == wanted)
        wanted.nodes = 1
        wanted.copier = .dsync
        wanted.copierPath = "/opt/dsync"
        wanted.copierOptions = ["-b", "5"]
        wanted.launcher = ["mpirun", "-np", "8"]
        wanted.verify = .readback
        wanted.ioClass = .bestEffort
        #expect(pools.last?.staging == wanted)
        #expect(
            wanted.shown
                == "copies by dsync, verify readback, launcher mpirun -np 8, nice 5, I/O class best-effort")
        #expect(
            pools.first?.staging.shown
                == "copies by burst-stage, verify inline, on 4 hosts from 1GiB on, else fail, nice 5, I/O class idle")
    }

    @Test func noFileIsNoFault() throws {
        #expect(try PoolsFile.load("/nonexistent/burst.toml") == nil)
    }

    @Test func unknownKeysAreRefusedWithTheirLine() {
        #expect(
            refusal(pool() + "colour = \"red\"\n")
                == "burst.toml:6: unknown key of [[pool]] \"colour\"; use \"name\", \"path\", \"granularity\", "
                + "\"quantity\", \"driver\", \"image\", \"bytes_per_inode\", \"metadata_reserve_percent\", "
                + "\"threads\", \"bytes_per_second\", \"files_per_second\", \"verify\", \"copier\", "
                + "\"copier_path\", \"copier_options\", \"launcher\", \"nodes\", \"nodes_from\", "
                + "\"nodes_refused\", \"nodes_wait_seconds\", \"srun\", \"srun_options\", \"slurm_conf\", "
                + "\"nice\" or \"io_class\""
        )
        #expect(
            refusal("\n[pools]\n") == "burst.toml:2: unknown key \"pools\"; use \"slurm_user\", \"staging\" or \"pool\""
        )
        // The line is that of the pool it stands in.
        let second = pool("name = \"b\"", "path = \"/b\"", "sped = 1")
        #expect(refusal(pool() + second).hasPrefix("burst.toml:11: unknown key of [[pool]] \"sped\"; "))
        #expect(refusal("[pool]\nname = \"a\"\n") == "burst.toml:1: pool is a table; write each pool as [[pool]]")
        #expect(refusal("pool = 3\n") == "burst.toml:1: pool is a whole number; write each pool as [[pool]]")
        #expect(refusal("pool = [1]\n") == "burst.toml:1: a pool is a whole number; write each pool as [[pool]]")
    }

    @Test func whatIsMissingIsTold() {
        #expect(refusal("[[pool]]\n") == "burst.toml:1: a pool has no name; write name = \"nvme\"")
        #expect(
            refusal("[[pool]]\nname = \"a\"\npath = \"/a\"\ngranularity = \"1GiB\"\n")
                == "burst.toml:1: a pool has no quantity; write quantity = \"all\"")
    }

    @Test(arguments: [
        ("name = \"a b\"", "5: \"a b\" is no name of a pool; use letters, digits, dots, dashes"),
        ("name = \"..\"", "\"..\" is no name of a pool"),
        ("name = 3", "name is a whole number; it has to be a string"),
        ("path = \"mnt\"", "path is \"mnt\"; write an absolute path without ., .., doubled or trailing slashes"),
        ("path = \"/\"", "path is \"/\"; "), ("path = \"/a/../b\"", "path is \"/a/../b\"; "),
        ("path = \"/a/\"", "path is \"/a/\"; "), ("path = \"/a//b\"", "path is \"/a//b\"; "),
        ("granularity = \"16MB\"", "granularity is \"16MB\"; write a whole number with B, KiB, MiB, GiB, TiB or PiB"),
        ("granularity = \"1.5GiB\"", "granularity is \"1.5GiB\"; "), ("granularity = 1.5", "is a number with a frac"),
        ("granularity = 0", "granularity is 0; "), ("granularity = -1", "granularity is -1; "),
        ("granularity = \"1KiB\"", "in quotes, from 1MiB to 1PiB"),
        ("granularity = \"99999999999999999999MiB\"", "granularity is "),
        ("granularity = \"20000000PiB\"", "granularity is "), ("granularity = \"MiB\"", "granularity is "),
        ("quantity = 0", "quantity is 0; write a number of granules from 1 on, or \"all\""),
        ("quantity = -3", "quantity is -3; "), ("quantity = \"most\"", "quantity is \"most\"; "),
        ("quantity = 1.5", "quantity is a number with a fraction; "),
        ("quantity = 9000000000000000000", "are above 2^64-1 bytes; quantity counts granules, not bytes"),
        (
            "driver = \"zfs\"",
            "driver is \"zfs\"; use \"auto\", \"xfs-quota\", \"ext4-quota\", \"btrfs\", \"loop\", \"tm"
        ),
        ("image = \"btrfs\"", "image is \"btrfs\"; use \"ext4\" or \"xfs\""),
        ("bytes_per_inode = 512", "bytes_per_inode is 512; "),
        ("metadata_reserve_percent = 51", "is 51; it has to be a whole number from 0 to 50"),
        ("metadata_reserve_percent = \"5%\"", "is a string; "), ("threads = 0", "threads is 0; "),
        ("threads = 257", "from 1 to 256"), ("bytes_per_second = -1", "bytes_per_second is -1; "),
        ("files_per_second = -1", "files_per_second is -1; "),
        ("verify = \"most\"", "verify is \"most\"; use \"off\", \"size\", \"inline\" or \"readback\""),
        ("copier = \"cp\"", "copier is \"cp\"; use \"burst-stage\", \"dcp\" or \"dsync\""),
        ("copier_path = \"dcp\"", "copier_path is \"dcp\"; write an absolute path"),
        ("copier_options = [\"-v\"]", "copier_options is for dcp and dsync, and copier is \"burst-stage\"; "),
        ("launcher = \"mpirun\"", "launcher is a string; it has to be a list of strings"),
        ("srun_options = [\"\"]", "srun_options holds \"\"; write each word as a string"),
        ("nodes = 0", "nodes is 0; it has to be a whole number from 1 to 4096"),
        ("nodes_from = -1", "nodes_from is -1"),
        ("nodes_refused = \"no\"", "use \"alone\" or \"fail\""), ("nodes_wait_seconds = 0", "from 1 to 86400"),
        ("nodes = 2\ndriver = \"loop\"", "nodes is 2 and driver \"loop\"; other hosts do not see such buffers"),
        ("nodes = 2\ncopier = \"dcp\"", "nodes is 2 and copier \"dcp\"; give dcp a launcher, or copy with"),
        ("nice = 20", "from 0 to 19"), ("io_class = \"rt\"", "use \"none\", \"best-effort\" or \"idle\""),
        ("name = \"nvme\"\nname = \"b\"", "is not TOML"),
    ])
    func wrongValuesAreRefusedWithWhatWouldBeRight(line: String, expected: String) {
        let said = refusal(pool(line))
        #expect(said.contains(expected), "\(said)")
        #expect(said.hasPrefix("burst.toml:"))
        #expect(!said.hasPrefix("burst.toml:1:"), "\(said)")
    }

    @Test func twoPoolsShareNothing() {
        #expect(
            refusal(pool() + pool("path = \"/b\""))
                == "burst.toml:7: there are two pools \"nvme\"; give each a name of its own")
        for path in ["/mnt/nvme", "/mnt/nvme/inner", "/mnt"] {
            let said = refusal(pool() + pool("name = \"b\"", "path = \"\(path)\""))
            #expect(said.hasPrefix("burst.toml:10: pools \"b\" and \"nvme\" share "), "\(said)")
        }
        #expect(refusal(pool() + pool("name = \"b\"", "path = \"/mnt/nvme2\"")) == "accepted: 2")
        let many = (0..<65).map { pool("name = \"p\($0)\"", "path = \"/p\($0)\"") }.joined()
        #expect(refusal(many) == "burst.toml:321: there are 65 pools; at most 64 are taken")
    }
}
