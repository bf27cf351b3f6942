import BurstScreen
import Testing

@Suite struct FilterTests {
    private static let fields = [
        FilterField("id", aliases: ["job"], inFreeText: true),
        FilterField("user", inFreeText: true),
        FilterField("pool", inFreeText: true),
        FilterField("state", aliases: ["bb"], inFreeText: true),
        FilterField("size", kind: .amount),
        FilterField("age", kind: .seconds),
        FilterField("uid", kind: .number),
        FilterField("reason"),
    ]

    private static let row: [FilterValue] = [
        .text("362_3"), .text("Alice"), .text("wlm_pool"), .text("staging-in"), .amount(3 << 40), .seconds(7200),
        .number(1001), .text("Waiting for (pool) space, again"),
    ]
    private static let bare: [FilterValue] = [
        .text("alpha"), .text("Örjan"), .text(""), .text("teardown-fail"), .none, .none, .number(-5), .none,
    ]

    private func holds(_ text: String, _ row: [FilterValue] = FilterTests.row) throws -> Bool {
        try Filter(text, fields: Self.fields).matches { row[$0] }
    }

    @Test(arguments: [
        ("us", ""), ("user", ""), ("user=", "user="), ("user=al", "user=al*"), ("user=a*", "user=a*"),
        ("user!=al", "user!=al"), ("user=bob,al", "user=bob,al*"), ("size>2", "size>2"), ("uid=10", "uid=10"),
        ("alice", "alice"), ("alice n", "alice "), ("\"us", "\"us"), ("bob (us", "bob ("), ("o", ""),
        ("pool=a user", "pool=a "),
    ])
    func whatIsBeingTypedAppliesAsFarAsItIsWhole(typed: String, applied: String) {
        #expect(Filter.whileTyped(typed, fields: Self.fields) == applied)
    }

    @Test(arguments: [
        ("carol", "car", true), ("car", "carol", false), ("user=carol", "user=ca*", true),
        ("user=cab*", "user=ca*", true),
        ("user=dan", "user=ca*", false), ("bob size>1T", "bob", true), ("bob", "bob size>1T", false),
        ("bob or dan", "bob", false), ("bob", "bob or dan", false), ("not bobby", "not bob", false), ("x", "", true),
        ("user!=carol", "user!=car", false), ("user=c?d", "user=c*", true), ("user~dan", "dan", false),
    ])
    func aLongerWordNarrows(longer: String, shorter: String, narrows: Bool) throws {
        let (new, old) = try (Filter(longer, fields: Self.fields), Filter(shorter, fields: Self.fields))
        #expect(new.narrows(old) == narrows)
    }

    @Test(arguments: [
        "", "   ", "alice", "ALICE", "wlm staging", "362_3", "\"staging-in\"", "user=alice", "USER = ALICE", "user=a*",
        "user=?lice", "user=*", "user=?????", "user=bob,alice", "user=bob,a*e", "user!=bob", "user!=bob,carol",
        "user~lic",
        "user!~bob",
        "job=362_*", "bb=staging-in", "state=teardown*,staging-in", "size=3TiB", "size=3t", "size=3072G", "size>1TiB",
        "size>=3T", "size<=3T", "size<3.5T", "size!=200G", "size>3TB", "size=200G,3T", "size<INFINITE", "age=2h",
        "age>=2h", "age>90m", "age<1h30m or age>=1.5h", "age<3d", "age=7200", "age=7200s", "age<1w", "uid=1001",
        "uid=7,1001", "uid>1000", "uid~00", "uid<2000%", "reason~\"(pool) space\"", "reason~space,",
        "reason=\"waiting*\" or alice",
        "bob or alice", "bob OR alice", "not bob", "!bob", "!bob !carol", "not not alice", "!!alice", "! bob",
        "(bob or alice) wlm", "(alice) and (wlm or bob)", "alice and wlm and not bob", "not (bob or carol)", "!(bob)",
        "bob carol or alice", "user=alice(pool=wlm_pool)", "\"\"", "user != \"\"", "size!=\"\"", "wlm*", "*pool",
    ])
    func theRowPasses(_ text: String) throws {
        #expect(try holds(text))
    }

    @Test(
        arguments: [
            "bob", "alice bob", "user=ali", "user=lice", "user=\"a*\"", "user!=alice", "user!=a*", "user!=bob,alice",
            "user!~LIC", "user=\"\"", "state=staging", "size=1T", "size>3T", "size<3T", "size=\"\"", "age>2h", "age<2h",
            "age!=2h", "uid!=1001", "uid=1", "not alice", "!alice", "!(alice)", "not (alice or bob)", "bob or carol",
            "alice bob or carol", "\"staging in\"", "waiting", "reason=waiting", "pool*", "\"wlm*\"", "user=?",
            "user=??????",
        ])
    func theRowDoesNotPass(_ text: String) throws {
        #expect(try !holds(text))
    }

    @Test(arguments: [
        ("size>0", false), ("size<1T", false), ("size!=1T", true), ("size=\"\"", true), ("size=1T,\"\"", true),
        ("pool=\"\"", true), ("pool=*", false), ("pool!=a", true), ("pool!~a", true), ("pool~a", false),
        ("reason=\"\"", true), ("reason!=x", true), ("uid<0", true), ("uid=-5", true), ("user=örjan", true),
        ("user=ÖRJAN", true), ("user=?rjan", true), ("ÖRJ", true), ("user=?*jan", true), ("user=??rjan", false),
    ])
    func rowsWithoutAValue(_ text: String, _ expected: Bool) throws {
        #expect(try holds(text, Self.bare) == expected)
    }

    @Test(arguments: [
        ("sttae=x", "filter, column 1: no column is called \"sttae\"; did you mean \"state\"?"),
        ("a us=x", "filter, column 3: no column is called \"us\"; did you mean \"user\"?"),
        ("jbo=1", "filter, column 1: no column is called \"jbo\"; did you mean \"id\"?"),
        (
            "colour=x",
            "filter, column 1: no column is called \"colour\"; there are id user pool state size age uid reason"
        ),
        ("pool=", "filter, column 6: no value follows pool=; give one, or \"\" for rows without a value"),
        ("pool= )", "filter, column 7: no value follows pool=; give one, or \"\" for rows without a value"),
        ("pool=a,,b", "filter, column 8: a value is missing in the list; give one, or \"\" for rows without a value"),
        ("=x", "filter, column 1: no column stands before \"=\"; write column=value"),
        ("a (~b)", "filter, column 4: no column stands before \"~\"; write column~value"),
        ("user=\"bob", "filter, column 6: the quotes are not closed; add \""),
        ("bob \"two words", "filter, column 5: the quotes are not closed; add \""),
        ("(bob", "filter, column 1: the parenthesis is not closed; add \")\""),
        ("a (b or (c d)", "filter, column 3: the parenthesis is not closed; add \")\""),
        ("bob)", "filter, column 4: no parenthesis is open here; remove \")\" or put it into quotes"),
        ("()", "filter, column 2: something to look for is missing; write a word or column=value"),
        ("or bob", "filter, column 1: something to look for is missing; write a word or column=value"),
        ("bob or", "filter, column 7: something to look for is missing; write a word or column=value"),
        ("bob or or x", "filter, column 8: something to look for is missing; write a word or column=value"),
        ("bob and", "filter, column 8: something to look for is missing; write a word or column=value"),
        ("not", "filter, column 4: something to look for is missing; write a word or column=value"),
        ("!", "filter, column 2: something to look for is missing; write a word or column=value"),
        (
            "size>big",
            "filter, column 6: size is an amount, but \"big\" is none; write 200G, 1.5T, 1TiB, 250KB or a plain number"
        ),
        (
            "size=1T,2Q",
            "filter, column 9: size is an amount, but \"2Q\" is none; write 200G, 1.5T, 1TiB, 250KB or a plain number"
        ),
        (
            "size>17E",
            "filter, column 6: size is an amount, but \"17E\" is none; write 200G, 1.5T, 1TiB, 250KB or a plain number"
        ),
        (
            "age>2 h or age>soon",
            "filter, column 16: age is an age, but \"soon\" is none; write 90m, 2h, 1h30m, 3d or a number of seconds"
        ),
        (
            "age=1h30",
            "filter, column 5: age is an age, but \"1h30\" is none; write 90m, 2h, 1h30m, 3d or a number of seconds"
        ),
        ("uid=10*", "filter, column 5: uid is a number, but \"10*\" is none; write digits"),
        ("uid<\"\"", "filter, column 5: no value is neither more nor less; use = or != with \"\""),
        ("user<b", "filter, column 5: user is text and has no order; use = != ~ or !~"),
        ("size~3", "filter, column 5: size is an amount, not text; use = != < <= > or >="),
        ("age!~3", "filter, column 4: age is an age, not text; use = != < <= > or >="),
        (
            "size>a\nb",
            "filter, column 6: size is an amount, but \"a\" is none; write 200G, 1.5T, 1TiB, 250KB or a plain number"
        ),
        (
            "a\u{1b}b=1",
            "filter, column 1: no column is called \"a?b\"; there are id user pool state size age uid reason"
        ),
    ])
    func whatIsWrongIsSaidInOneLine(_ text: String, _ expected: String) {
        #expect {
            try Filter(text, fields: Self.fields)
        } throws: { error in
            if "\(error)" != expected { Issue.record("\(error)") }
            return "\(error)" == expected
        }
    }

    @Test func depthAndLengthAreBounded() throws {
        let deep = String(repeating: "(", count: 33) + "a" + String(repeating: ")", count: 33)
        #expect(throws: FilterError.self) { try Filter(deep, fields: Self.fields) }
        let allowed = String(repeating: "!(", count: 32) + "alice" + String(repeating: ")", count: 32)
        #expect(try holds(allowed))
        #expect(throws: FilterError.self) { try Filter(String(repeating: "a", count: 4097), fields: Self.fields) }
        #expect(try holds(String(repeating: "not ", count: 1000) + "alice"))
    }

    @Test func anEmptyFilterPassesAll() throws {
        #expect(Filter().isEmpty)
        #expect(Filter().matches { _ in .none })
        #expect(try Filter(" ", fields: Self.fields).isEmpty)
        #expect(try !Filter("a", fields: Self.fields).isEmpty)
        #expect(try Filter(" pool=x", fields: Self.fields).text == " pool=x")
    }

    @Test func keywordsAreLiteralInQuotesAndAsColumns() throws {
        let row: [FilterValue] = [.text("or not and")]
        let fields = [FilterField("not", inFreeText: true)]
        for text in ["\"or\"", "\"not\" \"and\"", "not~and", "not = *and", "not not=x", "not~\"NOT A\""] {
            #expect(try Filter(text, fields: fields).matches { row[$0] }, "\(text)")
        }
    }

    @Test func aTermHoldsForItsValueOnly() throws {
        for value in [
            "alice", "a b", "a*", "?", "\"", "\\", "a\\\"b", "", "(null)", "or", "not", "a,b", "Ö", "=", "x=y",
        ] {
            let filter = try Filter(Filter.term("user", is: value), fields: Self.fields)
            #expect(filter.matches { $0 == 1 ? .text(value) : .none }, "\(value)")
            #expect(!filter.matches { $0 == 1 ? .text(value + "x") : .none }, "\(value)")
        }
    }

    @Test(arguments: [
        ("", ["id=", "user=", "pool=", "state=", "size>", "age>", "uid>", "reason="]),
        ("u", ["user=", "uid>"]), ("b", ["state="]), ("a or !U", ["a or !user=", "a or !uid>"]),
        ("(s", ["(state=", "(size>"]),
        ("pool=", ["pool=pool1", "pool=\"two words\"", "pool=p2"]), ("x pool!=P", ["x pool!=pool1", "x pool!=p2"]),
        ("pool=pool1,p2", ["pool=pool1,p2"]), ("pool=\"two w", ["pool=\"two words\""]), ("nothing=x", []), ("zz", []),
    ])
    func completions(_ text: String, _ expected: [String]) {
        let found = Filter.completions(for: text, fields: Self.fields) { field in
            Self.fields[field].name == "pool" ? ["pool1", "two words", "p2", "pool1", ""] : []
        }
        #expect(found == expected)
    }

    @Test func noTextBreaksTheParser() {
        var random = SystemRandomNumberGenerator()
        let pieces = [
            "pool", "size", "age", "uid", "user", "=", "!=", "<", "<=", ">", ">=", "~", "!~", "!", "(", ")", "\"", "\\",
            ",",
            "*", "?", " ", "\t", "or", "and", "not", "1T", "2h", "99999999999999999999", "1.5.5", ".", "-", "é", "🇩🇪",
            "\r\n",
            "\u{0}", "\u{301}", "İ", "%", "1e9", "0.000000001E",
        ]
        var good = 0
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0...12, using: &random))
                .map { _ in pieces.randomElement(using: &random)! }.joined()
            do {
                let filter = try Filter(text, fields: Self.fields)
                _ = filter.matches { Self.row[$0] }
                _ = filter.matches { Self.bare[$0] }
                good += 1
            } catch {
                #expect(error.position >= 1 && error.position <= text.count + 1, "\(text)")
                #expect(!error.description.contains { $0.isNewline }, "\(text)")
            }
            _ = Filter.completions(for: text, fields: Self.fields) { _ in ["x", "a b"] }
        }
        #expect(good > 100)
    }

    @Test func manyRowsAreFilteredWithinAKeyPress() throws {
        let rows = (0..<100_000).map { index in
            [
                "\(index)", "user-with-a-long-name-\(index % 97)", "scratch_pool_\(index % 7)", "staging-in",
                "Waiting for space in the pool",
            ]
        }
        let fields = ["id", "user", "pool", "state", "reason"].map { FilterField($0, inFreeText: true) }
        let filter = try Filter("zebra", fields: fields)
        let clock = ContinuousClock()
        var passed = 0
        let time = (0..<3).map { _ in
            clock.measure { passed = rows.count { row in filter.matches { .text(row[$0]) } } }
        }.min()!
        #expect(passed == 0)
        // The bound of a release build; without optimisation only the answer counts.
        #if !DEBUG
            #expect(time < .milliseconds(50), "\(time)")
        #endif
    }
}
