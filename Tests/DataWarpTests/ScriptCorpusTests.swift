import BurstDataWarp
import BurstModel
import Testing

/// Whole scripts: what Slurm was given, and what sites wrote (staging.md §5 F1). `RECORD=1` writes the outcomes anew.
@Suite struct ScriptCorpusTests {
    static let all: [ScriptFixture] = ScriptFixture.slurm + ScriptFixture.sites

    @Test(arguments: Self.all)
    func scriptsGiveTheirPlan(fixture: ScriptFixture) {
        #expect(fixture.found == fixture.outcome)
        #expect(!ScriptFixture.isRecorded)
    }

    /// A file that is cut short would go unnoticed.
    @Test func nothingIsMissing() {
        #expect(ScriptFixture.slurm.count == 160)
        #expect(ScriptFixture.sites.count == 36)
        #expect(fixtures(with: "-- plan").count > 100)
        #expect(fixtures(with: "-- refused").count > 50)
    }

    private func fixtures(with outcome: String) -> [ScriptFixture] { Self.all.filter { $0.outcome.hasPrefix(outcome) } }

    /// Slurm's sum of what a plan holds is what Slurm told `setup`.
    @Test(arguments: ScriptFixture.slurm.filter { $0.slurm?.hasPrefix("accepted ") == true })
    func sizesAreSlurms(fixture: ScriptFixture) throws {
        let plan: StagePlan
        do throws(DirectiveFaults) {
            plan = try StagePlan.read(try fixture.directives())
        } catch {
            return
        }
        let told = try CapacityArgument(try #require(fixture.slurm).dropFirst(9))
        let granularities: [String: UInt64] = ["wlm_pool": 200 << 30, "dwcache": 16 << 20]
        let granule = try #require(granularities[told.pool])
        // Slurm counts swap space in bytes though it says GiB; a granule is more than both.
        let sizes = plan.jobBuffers.map(\.bytes) + (plan.swap.map { [$0.gibibytesPerNode] } ?? [])
        let sum = sizes.reduce(0) { $0 + ($1 + granule - 1) / granule * granule }
        #expect(told.size == .bytes(sum))
    }

    /// What Slurm refuses for its form is refused here too: only pools and permissions are not known here.
    @Test(arguments: ScriptFixture.slurm.filter { $0.slurm == "refused" })
    func whatSlurmRefusesIsRefused(fixture: ScriptFixture) {
        let script = String(decoding: fixture.script, as: UTF8.self)
        let isSitesMatter = script.contains("pool=nosuch") || script.contains("destroy_persistent name=nosuch")
        #expect(fixture.outcome.hasPrefix("-- refused") != isSitesMatter)
    }

    @Test(arguments: Self.all)
    func plansAreReadBack(fixture: ScriptFixture) throws {
        guard fixture.outcome.hasPrefix("-- plan\n") else { return }
        let text = fixture.outcome.dropFirst(8)
        #expect(try StagePlan(text: text.utf8).text == text)
    }

    /// One line each, with its place, short, and with nothing that Slurm takes for something else.
    @Test(arguments: Self.all)
    func refusalsAreClear(fixture: ScriptFixture) {
        guard fixture.outcome.hasPrefix("-- refused\n") else { return }
        let lines = fixture.outcome.dropFirst(11).split(separator: "\n")
        #expect(!lines.isEmpty)
        for line in lines {
            #expect(line.hasPrefix(fixture.isReplaced ? "directive " : "line "))
            #expect(line.utf8.count <= ErrorLine.bytesMax)
            #expect(!line.hasSuffix("..."), "what would be right is cut off")
            #expect(!line.contains("'"))
            #expect(line.contains("write") || line.contains("remove"))
        }
    }

    /// A zero byte ends the script, as Slurm stores one.
    @Test func aZeroByteEndsTheScript() throws {
        let fixture = try #require(ScriptFixture.sites.first { $0.name == "kaust use" })
        let script = try DirectiveScript(fixture.script + [0] + "\n#DW swap abc\n".utf8)
        #expect(try StagePlan.read(script) == StagePlan.read(try fixture.directives()))
    }
}
