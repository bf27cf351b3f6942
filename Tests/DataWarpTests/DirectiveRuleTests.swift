import BurstDataWarp
import Testing

/// The table of directives serves the parser, the help and these tests alike (staging.md §3.3).
@Suite struct DirectiveRuleTests {
    private static let pairs: [(DirectiveRule, DirectiveRule.Key)] = DirectiveRule.all.flatMap { rule in
        rule.keys.map { (rule, $0) }
    }
    private static let labels = pairs.map { "\($0.0.title) \($0.1.name)=" }

    /// A value that is right for the key.
    private static func good(_ rule: DirectiveRule, _ key: DirectiveRule.Key) -> String {
        switch key.kind {
        case .size: "200GiB"
        case .number: "60"
        case .word(let words): words[0]
        case .anyWord: "bandwidth"
        case .modes: "striped"
        case .buffer: "alpha"
        case .pool: "wlm_pool"
        case .path: "/lus/a"
        case .stagePath:
            (key.name == "source") == (rule.verb == .stageIn) ? "/lus/a" : "$DW_JOB_STRIPED/a"
        }
    }

    private static func bad(_ key: DirectiveRule.Key) -> String? {
        switch key.kind {
        case .size: "3.5TB"
        case .number: "0"
        case .word: "weird"
        case .modes: "weird"
        case .buffer: "1abc"
        case .pool, .anyWord: "a/b"
        case .path, .stagePath: "relative"
        }
    }

    /// A script with the directive, each key having the value that `values` gives; nil leaves a key out.
    private static func script(_ rule: DirectiveRule, _ values: (DirectiveRule.Key) -> String?) -> String {
        var words = [rule.title]
        if rule.operand != nil { words.append("10GiB") }
        words += rule.keys.compactMap { key in values(key).map { "\(key.name)=\($0)" } }
        let isStaging = rule.verb == .stageIn || rule.verb == .stageOut
        return "#!/bin/bash\n" + words.joined(separator: " ") + "\n" + (isStaging ? "#DW jobdw capacity=1GB\n" : "")
    }

    private static func refusal(_ script: String) throws -> String? {
        do throws(DirectiveFaults) {
            _ = try StagePlan.read(try! DirectiveScript(Array(script.utf8)))
            return nil
        } catch {
            return error.description
        }
    }

    @Test(arguments: DirectiveRule.Verb.allCases)
    func everyVerbHasOneRule(verb: DirectiveRule.Verb) {
        #expect(DirectiveRule.all.count { $0.verb == verb } == 1)
        #expect(DirectiveRule.of(verb).verb == verb)
    }

    @Test(arguments: DirectiveRule.Verb.allCases)
    func allKeysAreTaken(verb: DirectiveRule.Verb) throws {
        let rule = DirectiveRule.of(verb)
        #expect(try Self.refusal(Self.script(rule) { Self.good(rule, $0) }) == nil)
        // Each may be absent that is not required.
        #expect(
            try Self.refusal(
                Self.script(rule) { $0.isRequired || $0.name == "destination" ? Self.good(rule, $0) : nil })
                == nil)
    }

    @Test(arguments: 0..<pairs.count)
    func keysAreChecked(index: Int) throws {
        let (rule, key) = Self.pairs[index]
        let good = Self.script(rule) { Self.good(rule, $0) }
        // Absent.
        let absent = try Self.refusal(Self.script(rule) { $0 == key ? nil : Self.good(rule, $0) })
        if key.isRequired { #expect(absent?.hasPrefix("line 2: \(rule.title) has no \(key.name)=: write ") == true) }
        // Twice.
        let word = "\(key.name)=\(Self.good(rule, key))"
        let twice = good.replacing(word, with: word + " " + word)
        #expect(try Self.refusal(twice) == "line 2: \(key.name)= stands there twice: write it once")
        // Wrong.
        let bad = try #require(Self.bad(key))
        let wrong = try Self.refusal(Self.script(rule) { $0 == key ? bad : Self.good(rule, $0) })
        #expect(wrong?.hasPrefix("line 2: \(key.name)=\(bad)") == true, "\(wrong ?? "accepted")")
        // In capitals.
        let upper = try Self.refusal(good.replacing(key.name + "=", with: key.name.uppercased() + "="))
        #expect(upper?.hasPrefix("line 2: \(key.name.uppercased())= is not read by Slurm") == true)
        // Misspelt, with the right one as the answer.
        let misspelt = try Self.refusal(good.replacing(key.name + "=", with: key.name.dropLast() + "="))
        #expect(misspelt?.contains("write \(key.name)=") == true, "\(misspelt ?? "accepted")")
        // In quotes and before a tab: Slurm takes both for a part of the value.
        let value = Self.good(rule, key)
        let quoted = try Self.refusal(good.replacing(word, with: "\(key.name)=\"\(value)\""))
        let tabbed = try Self.refusal(good.replacing(word, with: word + "\t"))
        #expect((quoted != nil) == key.isReadBySlurm)
        #expect((tabbed != nil) == key.isReadBySlurm)
    }

    /// Slurm finds its keys within other words and behind `#`.
    @Test(arguments: [
        "#DW jobdw capacity=1GB # pool=fast", "#DW jobdw pfs=/lus/pool=x type=cache capacity=1GB pool=fast",
        "#BB create_persistent name=a capacity=1GB # access=private", "#DW swap 1 # pool=fast",
    ])
    func keysThatOnlySlurmSeesAreRefused(line: String) throws {
        let refusal = try Self.refusal("#!/bin/bash\n\(line)\n")
        #expect(refusal?.contains("within another word or a comment") == true, "\(refusal ?? "accepted")")
    }

    @Test func helpNamesEveryKey() {
        let help = DirectiveRule.helpText
        let words = help.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        for (rule, key) in Self.pairs {
            #expect(words.contains(rule.usage))
            #expect(help.contains("    \(key.name)=  \(key.help)"))
        }
        #expect(help.contains("#DW swap N [pool=POOL]"))
        #expect(
            help.contains("#DW stage_in type=file|directory|list source=PATH [destination=PATH]"))
        #expect(help.utf8.allSatisfy { $0 < 0x7f })
        #expect(help.split(separator: "\n").allSatisfy { $0.count <= 120 })
    }
}
