/// A directive with its values, checked against the table of `DirectiveRule` key by key.
struct Directive {
    var rule: DirectiveRule
    /// Of the line in the script.
    var number: Int
    /// By the keys' first names.
    var values: [String: [UInt8]] = [:]
    var operand: [UInt8]?
    var text: [UInt8]

    func has(_ key: String) -> Bool { values[key] != nil }

    func text(_ key: String) -> String? { values[key].map(ByteText.string) }

    func size() throws(ErrorLine) -> UInt64 { try CapacityText.read(values["capacity"] ?? []) }

    func number(_ key: String) -> UInt64? { values[key].flatMap(ByteText.number) }

    func buffer() throws(ErrorLine) -> BufferName { try BufferName(values["name"] ?? []) }

    func modes() throws(ErrorLine) -> AccessModes {
        guard let value = values["access_mode"] else { return .striped }
        return try AccessModes(value)
    }

    func kind() -> StagePlan.BufferKind { text("type").flatMap(StagePlan.BufferKind.init) ?? .scratch }

    // MARK: Reading

    /// - Returns: nil where the line is no directive though Slurm keeps it: `#BB_LUA`, `#DWARF`.
    init?(
        _ line: DirectiveScript.Line, mayHoldSymbols: Bool, isLua: Bool = false
    ) throws(ErrorLine) {
        // Words of a plain comment mean nothing, whatever they hold.
        let isJoined = line.text.first.map { !ByteText.isBlank($0) } ?? false
        if isJoined, Self.verb(near: line.text.prefix { !ByteText.isBlank($0) }) == nil { return nil }
        let words = try DirectiveWords(line.text, mayHoldSymbols: mayHoldSymbols)
        rule = try Self.rule(words, line.family, isLua: isLua)
        number = line.number
        text = words.text
        var rest = words.words.dropFirst()
        if let name = rule.operand {
            guard let first = rest.popFirst(), first.value == nil else {
                throw ErrorLine("\(rule.title) has no \(name): write \(rule.usage)")
            }
            operand = first.bytes
        }
        while let word = rest.popFirst() {
            if let flag = rule.flag, word.bytes.elementsEqual(flag.utf8) { continue }
            let (key, value) = try pair(word, next: rest.first)
            // Of the two names that a key may have, the one that was written.
            let name = ByteText.string(word.key)
            guard values[key.name] == nil else {
                throw ErrorLine("\(name)= stands there twice: write it once")
            }
            values[key.name] = Array(value)
            // A number and its unit: `capacity=4 GB`.
            if key.kind == .size, ByteText.number(value) != nil, let unit = rest.first,
                CapacityText.isUnit(unit.bytes)
            {
                throw ErrorLine(
                    "\(word.shown) \(unit.shown): Slurm reads up to the blank; write \(word.shown)\(unit.shown)")
            }
            try check(key, value, name)
            try checkForSlurm(key, word)
        }
        for key in rule.keys where key.isRequired && values[key.name] == nil {
            throw ErrorLine("\(rule.title) has no \(key.name)=: write \(key.name)=\(Self.example(key))")
        }
        try checkSubstrings(words)
    }

    private static func example(_ key: DirectiveRule.Key) -> String {
        switch key.kind {
        case .size: "200GiB"
        case .buffer: "alpha"
        case .word(let words): words.joined(separator: "|")
        case .stagePath: "/lus/PATH or $DW_JOB_STRIPED/PATH"
        default: key.kind.placeholder
        }
    }

    /// The verb that a word is, or may have been meant for.
    private static func verb(near word: some Collection<UInt8>) -> DirectiveRule.Verb? {
        let verbs = DirectiveRule.Verb.allCases
        if let verb = verbs.first(where: { $0.rawValue.utf8.elementsEqual(word) }) { return verb }
        if let name = Nearest.word(to: word, among: verbs.map(\.rawValue)) { return .init(rawValue: name) }
        return verbs.first { word.starts(withText: $0.rawValue + ",") }
    }

    /// The rule of the line's verb.
    private static func rule(
        _ words: DirectiveWords, _ family: DirectiveRule.Family, isLua: Bool
    ) throws(ErrorLine) -> DirectiveRule {
        guard let word = words.words.first else {
            // Slurm keeps such a line and does not read it.
            let title = DirectiveRule.all[0].title
            throw ErrorLine("#\(family.rawValue) says nothing: write \(title) or another directive, or remove it")
        }
        guard let verb = verb(near: word.bytes) else {
            let own = DirectiveRule.all.filter { $0.family == family }.map(\.verb.rawValue)
            let list = own.joined(separator: ", ")
            throw ErrorLine("#\(family.rawValue) \(word.shown): no such directive; write one of \(list)")
        }
        let rule = DirectiveRule.of(verb)
        if word.bytes.contains(UInt8(ascii: ",")) {
            throw ErrorLine(
                "#\(family.rawValue) \(word.shown): commas do not part keys; write \(rule.title) and blanks")
        }
        guard verb.rawValue.utf8.elementsEqual(word.bytes) else {
            throw ErrorLine("#\(family.rawValue) \(word.shown): no such directive; write \(rule.title)")
        }
        // The lua plugin has one beginning for all; the reader of the plan refuses what it does not know.
        guard rule.family == family || isLua else {
            throw ErrorLine("#\(family.rawValue) \(verb.rawValue): write \(rule.title)")
        }
        return rule
    }

    /// The key that a word begins with, and the value behind its `=`.
    private func pair(
        _ word: DirectiveWords.Word, next: DirectiveWords.Word?
    ) throws(ErrorLine) -> (DirectiveRule.Key, ArraySlice<UInt8>) {
        let name = ByteText.string(word.key)
        var shown: String { ErrorLine.name(word.key) }
        guard let value = word.value else {
            if rule.key(name) != nil, next?.bytes.first == UInt8(ascii: "=") {
                throw ErrorLine("\(shown) has a blank before =: write \(shown)=VALUE without blanks")
            }
            if rule.key(name) != nil || rule.keys.isEmpty {
                throw ErrorLine("\(shown) has no value: write \(shown)=VALUE")
            }
            throw ErrorLine("\(shown) is no key=value: write a value with blanks in quotes, key=\"a b\"")
        }
        if let key = rule.key(name) {
            if value.isEmpty, next != nil, next?.value == nil, !word.isQuoted {
                throw ErrorLine("\(shown)= has a blank behind it: write \(shown)=VALUE without blanks")
            }
            return (key, value)
        }
        let known = rule.keyNames
        if let right = known.first(where: { $0 == name.lowercased() }) {
            throw ErrorLine("\(shown)= is not read by Slurm: keys are in lower case; write \(right)=")
        }
        let longer = word.key.count < 3 ? nil : known.first { $0.utf8.starts(with: word.key) }
        if let near = longer ?? Nearest.word(to: word.key, among: known) {
            throw ErrorLine("\(shown)=: no such key of \(rule.title); write \(near)=")
        }
        let all = rule.keys.map { $0.name + "=" }.joined(separator: " ")
        throw ErrorLine("\(shown)=: no such key of \(rule.title); write one of \(all)")
    }

    // MARK: Values

    private func check(
        _ key: DirectiveRule.Key, _ value: ArraySlice<UInt8>, _ name: String
    ) throws(ErrorLine) {
        var shown: String { "\(name)=\(ErrorLine.name(value))" }
        switch key.kind {
        case .size: _ = try CapacityText.read(value, key: name)
        case .modes: _ = try AccessModes(value, key: name)
        case .buffer: _ = try BufferName(value)
        case .number:
            guard let number = ByteText.number(value), number > 0 else {
                throw ErrorLine("\(shown): write a whole number above 0")
            }
        case .word(let words):
            guard !words.contains(where: { $0.utf8.elementsEqual(value) }) else { return }
            let right = Nearest.word(to: value, among: words) ?? words.joined(separator: "|")
            throw ErrorLine("\(shown): no such \(name); write \(name)=\(right)")
        case .anyWord, .pool:
            guard (1...DirectiveLimits.poolNameBytesMax).contains(value.count), value.allSatisfy(BufferName.isAllowed)
            else {
                throw ErrorLine(
                    "\(shown): write 1 to \(DirectiveLimits.poolNameBytesMax) letters, digits, _ - and .")
            }
        // Where in the script they stand decides what these may be.
        case .path, .stagePath: break
        }
    }

    /// What Slurm reads itself it reads up to the next space.
    private func checkForSlurm(_ key: DirectiveRule.Key, _ word: DirectiveWords.Word) throws(ErrorLine) {
        guard key.isReadBySlurm else { return }
        if word.isQuoted {
            throw ErrorLine(
                "\(ErrorLine.name(word.key))= has quotes, which Slurm takes for a part of the value: write \(word.shown)"
            )
        }
        if word.isBeforeTab {
            throw ErrorLine("\(word.shown) ends with a tab, which Slurm takes for a part of it: write a blank")
        }
    }

    /// The lua plugin gives its script `pool=` and `capacity=` of any line, and knows neither swap space nor persistent
    /// buffers (spec §3.1, staging.md §1.4).
    func checkForLua() throws(ErrorLine) {
        switch rule.verb {
        case .jobdw:
            // Slurm refuses such a line by itself, without a word to the user.
            if !has("pool") { throw ErrorLine("\(rule.title) has no pool=: write pool=POOL") }
        case .persistentdw: break
        case .stageIn, .stageOut:
            for key in ["capacity", "pool"] where text.firstRange(of: key + "=") != nil {
                throw ErrorLine("Slurm reads \(key)= within this line: take it out of there")
            }
        case .swap, .create, .destroy:
            throw ErrorLine("\(rule.verb.rawValue) is not for burst_buffer/lua: it has buffers of jobs alone")
        }
    }

    /// Slurm looks for its keys anywhere in the line, so the first place has to be the one that is meant.
    private func checkSubstrings(_ words: DirectiveWords) throws(ErrorLine) {
        for key in rule.keys where key.isReadBySlurm {
            let names = [key.name] + (key.alias.map { [$0] } ?? [])
            for name in names {
                guard let place = words.text.firstRange(of: name + "="),
                    !words.words.contains(where: { $0.start == place })
                else { continue }
                throw ErrorLine("Slurm reads \(name)= within another word or a comment: take it out of there")
            }
        }
    }
}

extension [UInt8] {
    /// Where the text first stands, byte by byte.
    func firstRange(of text: String) -> Int? {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, bytes.count <= count else { return nil }
        return (0...(count - bytes.count)).first { self[$0] == first && self[$0...].starts(with: bytes) }
    }
}
