import BurstScreen
import BurstTestSupport
import Glibc
import Testing

/// `burstmon --demo`: a burstd of its own whose stager copies real files, of which nothing stays.
@Suite(.onWorkers, .serialized, .timeLimit(.minutes(15)))
struct DemoTests {
    /// A folder for temporary files into which everybody may write.
    private struct Place {
        let folder: TemporaryFolder

        init() throws {
            folder = try TemporaryFolder("burst-e2e", openToOthers: true)
            chmod(folder.path, 0o1777)
        }

        var environment: [String: String] {
            [
                "PATH": "/usr/bin:/bin", "HOME": folder.path, "XDG_CONFIG_HOME": folder.path, "TMPDIR": folder.path,
                "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "xterm-256color", "SWIFT_BACKTRACE": "enable=no",
            ]
        }

        func screen(_ arguments: String...) throws -> PseudoTerminal {
            try PseudoTerminal(
                [StubCommands.burstmon, "--demo"] + arguments, environment: environment,
                size: Size(columns: 160, rows: 45))
        }

        var demos: [String] { names(of: folder.path).filter { $0.hasPrefix("burst-demo-") } }

        /// Processes that name the place in their arguments.
        var processes: [String] {
            names(of: "/proc").filter { name in
                guard Int32(name) != nil, let file = fopen("/proc/\(name)/cmdline", "rb") else { return false }
                defer { fclose(file) }
                var bytes = [UInt8](repeating: 0, count: 8192)
                let count = fread(&bytes, 1, bytes.count, file)
                return String(decoding: bytes[..<count], as: UTF8.self).contains(folder.path)
            }
        }

        private func names(of path: String) -> [String] {
            guard let directory = opendir(path) else { return [] }
            defer { closedir(directory) }
            var names: [String] = []
            while let entry = readdir(directory) {
                names.append(
                    withUnsafePointer(to: &entry.pointee.d_name) {
                        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                    })
            }
            return names
        }
    }

    /// Root runs the demo as nobody, who must be able to run what was built.
    private static let canRun: Bool = {
        guard geteuid() == 0 else { return true }
        var path = StubCommands.burstmon
        while let slash = path.lastIndex(of: "/") {
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & 0o001 != 0 else { return false }
            if slash == path.startIndex { break }
            path = String(path[..<slash])
        }
        return true
    }()

    @Test(.enabled(if: canRun)) func jobsPassThroughAllStagesAndOneIsCancelled() throws {
        let place = try Place()
        let terminal = try place.screen("--screen", "jobs")
        var seen: Set<String> = []
        let stages: Set = ["pending", "staging-in", "running", "staging-out", "HELD"]
        #expect(
            terminal.wait { terminal in
                for stage in stages where terminal.emulator.contains(stage) { seen.insert(stage) }
                return seen == stages
            }, "\(seen)\n\(terminal.emulator.text)")
        #expect(terminal.emulator.contains("LIVE"))
        #expect(place.demos.count == 1 && !place.processes.isEmpty)
        // The one whose setup failed stands still.
        terminal.type(":cancel 4\r")
        #expect(terminal.wait(for: "(scontrol show job)"), "\(terminal.emulator.text)")
        terminal.type("c\r")
        #expect(terminal.wait(for: "scancel 4: accepted"), "\(terminal.emulator.text)")
        terminal.type("\u{1b}2")
        #expect(terminal.wait { $0.emulator.contains("nvme") && $0.emulator.contains("scratch") })
        // Copies under way, and the one whose target takes nothing.
        terminal.type("9")
        #expect(
            terminal.wait { terminal in
                terminal.emulator.text.split(separator: "\n").contains { line in
                    let share = line.firstMatch(of: /(\d+)%/).flatMap { Int($0.1) } ?? 0
                    return (1..<100).contains(share) && line.contains("staging-") && line.contains("/s")
                }
            }, "\(terminal.emulator.text)")
        #expect(terminal.wait(for: "stage-out-failed"), "\(terminal.emulator.text)")
        // The calls of the script, with their answers.
        terminal.type("6")
        #expect(terminal.wait(for: "trace: calls of the script"), "\(terminal.emulator.text)")
        #expect(terminal.wait(for: "data_in"), "\(terminal.emulator.text)")
        #expect(terminal.quit() == .exited(0))
        #expect(terminal.isGivenBack)
        #expect(Wait.until { place.demos.isEmpty && place.processes.isEmpty }, "\(place.demos) \(place.processes)")
    }

    @Test(.enabled(if: canRun)) func nothingStaysWhenItIsKilled() throws {
        let place = try Place()
        let terminal = try place.screen("--screen", "jobs")
        #expect(terminal.wait(for: "running"), "\(terminal.emulator.text)")
        #expect(place.demos.count == 1)
        kill(terminal.pid, SIGKILL)
        #expect(terminal.waitForEnd() == .killed(signal: SIGKILL))
        #expect(
            Wait.until { place.demos.isEmpty && place.processes.isEmpty },
            "\(place.demos) \(place.processes)")
    }

    @Test(.enabled(if: canRun)) func onePrintedBoardNeedsNoScreen() throws {
        let place = try Place()
        let result = try PipedProgram.run(
            [StubCommands.burstmon, "--demo", "--json"], environment: place.environment)
        #expect(result.end == .exited(0), "\(result.errorText)")
        #expect(result.text.contains("\"nvme\"") && result.text.contains("\"scratch\""))
        #expect(place.demos.isEmpty && place.processes.isEmpty)
    }

    @Test(.enabled(if: canRun)) func whatIsMissingBesideBurstdIsNamed() throws {
        let place = try Place()
        let folder = place.folder("bin")
        mkdir(folder, 0o755)
        let built = String(StubCommands.burstmon.prefix(upTo: StubCommands.burstmon.lastIndex(of: "/")!))
        // The monitor looks beside the file that it really is.
        let copy = try PipedProgram.run(["/bin/cp", StubCommands.burstmon, folder], environment: place.environment)
        #expect(copy.end == .exited(0), "\(copy.errorText)")
        for name in ["burstd", "burst", "burst-scriptd", "burst-stepd", "dw_wlm_cli", "dwstat"] {
            #expect(symlink("\(built)/\(name)", "\(folder)/\(name)") == 0)
        }
        #expect(symlink("\(built)/../../../Sources", place.folder("Sources")) == 0)
        place.folder.write("", to: "Package.swift")
        let result = try PipedProgram.run(
            [folder + "/burstmon", "--demo", "--once"], environment: place.environment)
        #expect(result.end == .exited(1))
        #expect(result.errorLines.count == 1, "\(result.errorText)")
        #expect(result.errorText.contains("\(folder)/burst-stage: No such file"), "\(result.errorText)")
        #expect(place.demos.isEmpty && place.processes.isEmpty)
    }

    @Test func withoutSlurmAndWithoutBurstdItSaysWhatToDo() throws {
        let place = try Place()
        var environment = place.environment
        environment["PATH"] = place.folder.path
        environment["BURST_SOCKET"] = place.folder("none.sock")
        let result = try PipedProgram.run([StubCommands.burstmon, "--once"], environment: environment)
        #expect(result.end == .exited(1))
        #expect(result.errorLines.count == 1, "\(result.errorText)")
        #expect(result.errorText.contains("no burstd listens at \(place.folder("none.sock"))"))
        #expect(result.errorText.contains("burstmon --demo"))
        let asked = try PipedProgram.run(
            [StubCommands.burstmon, "--source", "burstd", "--check"], environment: environment)
        #expect(asked.end == .exited(3) || asked.end == .exited(2))
        #expect(asked.text.contains("burstd does not run there"), "\(asked.text)")
    }
}
