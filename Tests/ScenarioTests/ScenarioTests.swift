import BurstTestSupport
import Glibc
import Testing

/// The scenarios, each played against Debian's slurmctld and against burstd.
///
/// `BURST_SCENARIOS=NAME,NAME` plays those alone. `BURST_RECORD=22.05` writes what 22.05 printed into the files;
/// `BURST_RECORD=burst` does so with burstd and marks what differs as ours: to be looked at and given a reason.
/// `BURST_SCENARIO_LOGS=FOLDER` keeps the controller's log of those that fail.
@Suite struct ScenarioTests {
    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    static let isRequired = variable("BURST_CI") == "1"
    private static let folder = Fixtures.top + "/Tests/ScenarioTests/Scenarios"

    static let names: [String] = {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".scenario") { names.append(String(name.dropLast(9))) }
        }
        let wanted = variable("BURST_SCENARIOS")?.split(separator: ",").map(String.init)
        // The long ones first, so that none of them is left for the end.
        let chosen = names.filter { wanted?.contains($0) ?? true }.map { (name: $0, seconds: seconds($0)) }
        return chosen.sorted { ($1.seconds, $0.name) < ($0.seconds, $1.name) }.map(\.name)
    }()

    /// About how long a scenario takes: each start some seconds, and the pauses.
    private static func seconds(_ name: String) -> Double {
        guard let scenario = try? scenario(name) else { return 0 }
        return scenario.entries.reduce(0) { sum, entry in
            switch entry.step {
            case .start: sum + 4
            case .pause(let seconds): sum + seconds
            default: sum
            }
        }
    }

    private static func scenario(_ name: String) throws -> Scenario {
        try Scenario(String(decoding: Fixtures.bytes(of: "\(folder)/\(name).scenario"), as: UTF8.self))
    }

    private static func play(_ name: String, on side: Scenario.Side) throws -> [String] {
        let scenario = try scenario(name)
        guard scenario.isPlayed(by: side) else { return [] }
        let stage: any ScenarioStage = side == .slurm ? try SlurmStage() : try BurstStage()
        let isRecording = variable("BURST_RECORD") == side.rawValue
        var player = Player(scenario, on: stage, isRecording: isRecording)
        let began = PseudoTerminal.now
        try player.play()
        if !player.edits.isEmpty {
            let path = "\(folder)/\(name).scenario"
            if let file = fopen(path, "w") {
                fputs(player.text, file)
                fclose(file)
            }
        }
        if !player.faults.isEmpty, let folder = variable("BURST_SCENARIO_LOGS") {
            let log = stage.read(side == .slurm ? "/srv/ref/log/slurmctld.log" : "/srv/ref/log/burstd.log")
            if let file = fopen("\(folder)/\(name).log", "w") {
                fputs(log, file)
                fclose(file)
            }
        }
        print("scenario \(side.rawValue) \(name): \((PseudoTerminal.now - began) / 100_000_000) tenths of a second")
        return player.faults
    }

    private static func isUsable(_ missing: String?, _ whose: String) -> Bool {
        guard let missing else { return true }
        if isRequired { return true }
        print("ScenarioTests: \(whose) left out: \(missing)")
        return false
    }

    static let hasSlurm = isUsable(SlurmStage.missingPrograms, "22.05")
    /// In CI too only where it is built: its programs are no part of every package that these tests are part of.
    static let hasBurst: Bool = {
        let missing = BurstStage.missingPrograms
        if let missing { print("ScenarioTests: burstd left out: \(missing)") }
        return missing == nil
    }()

    @Test(.lane, .enabled(if: hasSlurm), .timeLimit(.minutes(25)), arguments: names)
    func slurmDoesWhatItDid(scenario: String) throws {
        // It has races of its own: sometimes scancel ends the teardown that it has just begun. Then it may try again.
        var faults = try Self.play(scenario, on: .slurm)
        if !faults.isEmpty {
            print("scenario \(scenario) is played again: \(faults.joined(separator: "\n"))")
            faults = try Self.play(scenario, on: .slurm)
        }
        #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
    }

    @Test(.lane, .enabled(if: hasBurst), .timeLimit(.minutes(25)), arguments: names)
    func burstDoesTheSame(scenario: String) throws {
        let faults = try Self.play(scenario, on: .burst)
        #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
    }
}

/// Runs a test on one of the threads that may wait: so many scenarios are played at once.
struct Lane: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }
    private static let lanes = Workers(count: 14)

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(Self.lanes) { try await function() }
    }
}

extension Trait where Self == Lane {
    static var lane: Self { Self() }
}
