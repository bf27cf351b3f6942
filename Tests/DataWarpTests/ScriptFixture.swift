import BurstDataWarp
import BurstTestSupport
import Glibc

/// A script with what becomes of it, from `Tests/Fixtures/datawarp`: the script, `-- slurm: ...` where Slurm's own
/// verdict was recorded, then `-- plan` with the plan's text, or `-- refused` with what is said.
struct ScriptFixture: CustomStringConvertible, Sendable {
    var name: String
    var script: [UInt8]
    /// `refused`, `plain`, `accepted`, `accepted wlm_pool:200GiB`.
    var slurm: String?
    var outcome: String

    var description: String { name }

    /// Slurm had replaced the symbols.
    var isReplaced: Bool { name.hasSuffix(" replaced") }

    static let slurm = read("slurm-26.05.txt")
    static let sites = read("sites.txt")

    private static func read(_ file: String) -> [ScriptFixture] {
        Fixtures.sections("datawarp/" + file).map { section in
            var script: [UInt8] = []
            var slurm: String?
            var outcome: [UInt8]?
            for line in section.output.split(separator: 10, omittingEmptySubsequences: false).dropLast() {
                if outcome == nil, line.starts(with: "-- slurm: ".utf8) {
                    slurm = String(decoding: line.dropFirst(10), as: UTF8.self)
                } else if outcome == nil, !line.starts(with: "-- ".utf8) {
                    script += line + [10]
                } else {
                    outcome = (outcome ?? []) + line + [10]
                }
            }
            return ScriptFixture(
                name: section.origin + " " + section.command, script: script, slurm: slurm,
                outcome: String(decoding: outcome ?? [], as: UTF8.self))
        }
    }

    /// What is made of the script now, in the fixture's form.
    var found: String {
        do throws(DirectiveFaults) {
            return "-- plan\n" + (try StagePlan.read(try directives())).text
        } catch {
            return "-- refused\n" + error.description + "\n"
        }
    }

    func directives() throws(DirectiveFaults) -> DirectiveScript {
        do throws(ErrorLine) {
            return try DirectiveScript(script, isReplaced: isReplaced)
        } catch {
            preconditionFailure("fixtures are small: \(error)")
        }
    }

    // MARK: Recording

    /// `RECORD=1` writes what is found into the files, to be looked at; the tests fail all the same.
    static var isRecording: Bool { getenv("RECORD").map { String(cString: $0) } == "1" }

    /// Once for all tests, which run side by side.
    static let isRecorded: Bool = {
        guard isRecording else { return false }
        for (file, fixtures) in [("slurm-26.05.txt", slurm), ("sites.txt", sites)] {
            let path = Fixtures.path("datawarp/" + file)
            let old = Fixtures.bytes(of: path)
            var text: [UInt8] = []
            for line in old.split(separator: 10, omittingEmptySubsequences: false) {
                if !line.starts(with: "#".utf8) || line.starts(with: "#!".utf8) { break }
                text += line + [10]
            }
            for fixture in fixtures {
                text += "@@ \(fixture.name)\n".utf8 + fixture.script
                if let slurm = fixture.slurm { text += "-- slurm: \(slurm)\n".utf8 }
                text += fixture.found.utf8
            }
            guard let stream = fopen(path, "wb") else { fatalError("cannot write \(path)") }
            fwrite(text, 1, text.count, stream)
            fclose(stream)
        }
        return true
    }()
}
