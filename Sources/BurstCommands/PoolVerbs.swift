import ArgumentParser
import BurstClient
import BurstModel
import BurstPools
import BurstSettings

extension Burst {
    /// Pools of this machine's own storage, as `burst.toml` names them. No burstd has to run.
    struct Pool: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prepare, list and check the pools of burst.toml.",
            discussion: """
                A pool is a folder on a file system of its own. Name it in burst.toml, then create it once:
                  [[pool]]
                  name = "nvme"
                  path = "/mnt/nvme/burst"
                  granularity = "16MiB"
                  quantity = "all"
                  driver = "auto"
                """,
            subcommands: [Create.self, List.self, Check.self])
    }
}

extension Burst.Pool {
    struct Options: ParsableArguments {
        @Option(help: ArgumentHelp("Folder of burst.toml.", valueName: "DIR"))
        var config: String?

        /// Ends the program with one line.
        func fail(_ text: String) -> ExitCode {
            CommonOptions.console.complain("burst: \(text)")
            return ExitCode(2)
        }

        /// The pools of the file, or the one of that name.
        func pools(named name: String? = nil) throws -> [PoolSettings] {
            let invocation = Burst.current ?? Invocation.process(name: "burst", arguments: [])
            let folder = config ?? ConfigPlaces.folder(environment: invocation.environment)
            let path = (folder.hasPrefix("/") ? folder : invocation.workDir + "/" + folder) + "/" + PoolsFile.name
            let pools: [PoolSettings]?
            do throws(FileFault) {
                pools = try PoolsFile.load(path)
            } catch {
                throw fail(error.description)
            }
            guard let pools else {
                throw fail("\(path): there is no such file; write it, or name its folder with --config DIR")
            }
            guard let name else { return pools }
            guard let pool = pools.first(where: { $0.name == name }) else {
                let names = pools.map(\.name).joined(separator: ", ")
                throw fail("\(path): there is no pool \(name); it has \(names.isEmpty ? "none" : names)")
            }
            return [pool]
        }
    }

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prepare a pool's empty folder, and mark it.",
            discussion: "EXAMPLE\n  burst pool create nvme --config /etc/burst")
        @OptionGroup var options: Options
        @Flag(help: "It may lie on the root file system, where a full pool stops the machine.")
        var onRoot = false
        @Argument(help: ArgumentHelp("A pool of burst.toml.", valueName: "NAME"))
        var name: String

        func run() throws {
            guard let pool = try options.pools(named: name).first else { return }
            let created: PoolFolder.Created
            do throws(PoolFault) {
                created = try PoolFolder.create(pool, now: Invocation.now(), onRoot: onRoot)
            } catch {
                throw options.fail(error.description)
            }
            let size = PoolText.size(pool.granularity)
            CommonOptions.console.print(
                "\(pool.name): created at \(pool.path), \(created.quantity) granules of \(size), driver "
                    + "\(created.driver.rawValue) (\(created.driver.isHard ? "hard" : "soft") limits)")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the pools, and what of them is used.")
        @OptionGroup var options: Options
        @Flag(help: "Print JSON.")
        var json = false

        func run() throws {
            let reports = try options.pools().map { PoolFolder.report($0) }
            CommonOptions.console.out(json ? PoolText.json(reports) : Array(PoolText.list(reports).utf8))
        }
    }

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Look for what is wrong with pools. Exit status: 0 nothing, 1 something leaks, 2 not usable.")
        @OptionGroup var options: Options
        @Flag(help: "Print JSON.")
        var json = false
        @Argument(help: ArgumentHelp("One pool; else all.", valueName: "NAME"))
        var name: String?

        func run() throws {
            let reports = try options.pools(named: name).map { PoolFolder.report($0) }
            CommonOptions.console.out(json ? PoolText.json(reports) : Array(PoolText.check(reports).utf8))
            let status = PoolText.exitCode(reports)
            if status != 0 { throw ExitCode(status) }
        }
    }
}
