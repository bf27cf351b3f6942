import ArgumentParser
import Glibc

/// The program `burst` under all its names.
package enum BurstProgram {
    /// Names besides `burst`.
    package static let slurmNames = ["sbatch", "scancel", "scontrol", "squeue"]

    /// Runs the process.
    /// - Returns: its exit status.
    package static func main() -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        let words = CommandLine.arguments
        let name = String((words.first ?? "burst").split(separator: "/").last ?? "burst")
        return run(Invocation.process(name: name, arguments: Array(words.dropFirst())))
    }

    /// Runs the command that `invocation.name` says.
    package static func run(_ invocation: Invocation) -> Int32 {
        switch invocation.name {
        case "sbatch": return Sbatch.run(invocation)
        case "scancel": return Scancel.run(invocation)
        case "scontrol": return Scontrol.run(invocation)
        case "squeue": return Squeue.run(invocation)
        default: break
        }
        return Burst.$current.withValue(invocation) {
            do {
                var command = try Burst.parseAsRoot(invocation.arguments)
                try command.run()
                return 0
            } catch {
                let text = Burst.fullMessage(for: error)
                let status = Burst.exitCode(for: error).rawValue
                if !text.isEmpty {
                    if status == 0 { invocation.console.print(text) } else { invocation.console.complain(text) }
                }
                return status
            }
        }
    }
}

extension Invocation {
    /// Of this process.
    static func process(name: String, arguments: [String]) -> Invocation {
        var environment: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count > 1 { environment[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        var folder = "/"
        if let path = getcwd(nil, 0) {
            folder = String(cString: path)
            free(path)
        }
        return Invocation(
            name: name, arguments: arguments, environment: environment, workDir: folder, console: .system())
    }
}

extension Burst {
    struct InstallLinks: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "install-links",
            abstract: "Make sbatch, scancel, scontrol and squeue in a folder: symbolic links to this program.",
            discussion: "EXAMPLE\n  burst install-links ~/bin")
        @Flag(help: "Replace symbolic links that are there.")
        var force = false
        @Argument(help: ArgumentHelp("Where; put it into PATH before Slurm's own.", valueName: "FOLDER"))
        var folder: String

        func run() throws {
            let console = CommonOptions.console
            guard let resolved = realpath("/proc/self/exe", nil) else {
                console.complain("burst: this program's own path is not known: \(Self.fault())")
                throw ExitCode(1)
            }
            let program = String(cString: resolved)
            free(resolved)
            var failed = false
            for name in BurstProgram.slurmNames {
                let path = folder + "/" + name
                if force {
                    var status = stat()
                    if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK { unlink(path) }
                }
                if symlink(program, path) != 0 {
                    console.complain("burst: \(path): \(Self.fault())")
                    failed = true
                }
            }
            if failed { throw ExitCode(1) }
        }

        private static func fault() -> String { String(cString: strerror(errno)) }
    }
}

extension CommonOptions {
    static var console: Console { (Burst.current ?? Invocation.process(name: "burst", arguments: [])).console }
}
