import BurstEngine
import BurstHooks
import Testing

/// The document of `slurm_bb_pools`, row by row as Slurm 26.05 took it (spec §4.5; recorded as lua/pools-variants).
@Suite struct PoolsDocumentTests {
    struct Case: Sendable, CustomStringConvertible {
        var text: String
        var pools: [ReportedPool]
        var faults: [String]

        init(_ text: String, _ pools: [ReportedPool], _ faults: String...) {
            self.text = text
            self.pools = pools
            self.faults = faults.map { $0.replacing("TEXT", with: text) }
        }

        var description: String { text }
    }

    private static func pool(
        _ quantity: Int64 = 10, _ granularity: Int64 = 2, _ free: Int64? = nil, name: String = "p"
    ) -> ReportedPool {
        ReportedPool(name: name, quantity: quantity, granularity: granularity, free: free)
    }

    private static let unnamed = pool(0, 1, name: "(null)")
    private static let badID = "_foreach_parse_pool: Failure parsing id"
    private static let badPools = #"_bb_get_pools: Failed to parse pools: "TEXT""#
    private static let noPools = #"_bb_get_pools: Did not find pools dictionary; problem parsing "TEXT""#
    private static let noJSON = #"_bb_get_pools: Problem parsing "TEXT": Failure during parsing"#
    private static func underflow(_ free: UInt64, _ quantity: UInt64) -> String {
        "Underflow on pool=p: Free space=\(free) bigger than quantity=\(quantity), setting free space equal to quantity"
    }
    private static func bent(_ field: String) -> String {
        "_foreach_parse_pool: Failure parsing \(field): pool p: it has to lie between -\(Int64.max) and \(Int64.max)"
    }

    static let recorded = [
        Case("this is not JSON", [], noJSON),
        Case("", [], noJSON),
        Case("5", [], noJSON),
        Case("{}", [], noPools),
        Case(#"{"pools":[]}"#, [], #"_bb_get_pools: No pools found, problem parsing "TEXT""#),
        Case(#"{"pools":null}"#, [], noPools),
        Case(#"{"pools":"p"}"#, [], noPools),
        Case(#"[{"id":"p","quantity":10,"granularity":2}]"#, [], noPools),
        Case(#"{"pool":[{"id":"p","quantity":10,"granularity":2}]}"#, [], noPools),
        Case(#"{"pools":[{"id":"p","quantity":1"#, [], noJSON),
        Case(#"{"pools":[{"id":"p","quantity":10,"granularity":2}]} trailing"#, [pool()]),
        Case(#"{"pools":[{"id":"p","quantity":10,"granularity":2},]}"#, [pool()]),
        Case(#"{"pools":[{"id":"p","quantity":10,"granularity":2}]} // c"#, [], noJSON),
        Case(#"{"pools":[{"id":"p","quantity":10,"granularity":2}],"extra":1}"#, [pool()]),
        Case(#"{"pools":[{"quantity":10,"granularity":2,"free":10}]}"#, [unnamed], badID, badPools),
        Case(#"{"pools":[{"id":"p","granularity":2,"free":10}]}"#, [pool(0, 2, 0)], underflow(10, 0)),
        Case(#"{"pools":[{"id":"p","quantity":10,"free":10}]}"#, [pool(10, 1, 10)]),
        Case(#"{"pools":[{"id":"p","quantity":10,"granularity":2}]}"#, [pool()]),
        Case(#"{"pools":[{"id":"p","quantity":10,"granularity":2,"free":4}]}"#, [pool(10, 2, 4)]),
        Case(#"{"pools":[{"id":"p","quantity":10,"granularity":2,"free":14}]}"#, [pool(10, 2, 10)], underflow(14, 10)),
        Case(#"{"pools":[{"id":"p","quantity":10,"granularity":0,"free":10}]}"#, [pool(10, 1, 10)]),
        Case(#"{"pools":[{"id":"p","quantity":-10,"granularity":2,"free":-10}]}"#, [pool(-10, 2, -10)]),
        Case(
            #"{"pools":[{"id":"p","quantity":"10","granularity":"2","free":"10"}]}"#, [pool(0, 1)],
            "_foreach_parse_pool: Failure parsing free", badPools),
        Case(
            #"{"pools":[{"id":"p","quantity":10.7,"granularity":2.5,"free":10.7}]}"#, [pool(0, 1)],
            "_foreach_parse_pool: Failure parsing free", badPools),
        Case(
            #"{"pools":[{"id":"p","quantity":10995116277760,"granularity":1073741824,"free":10995116277760}]}"#,
            [pool(10_995_116_277_760, 1_073_741_824, 10_995_116_277_760)]),
        Case(
            #"{"pools":[{"id":7,"quantity":10,"granularity":2,"free":10}]}"#, [unnamed], badID, badPools),
        Case(#"{"pools":[{"id":"","quantity":10,"granularity":2,"free":10}]}"#, [pool(10, 2, 10, name: "")]),
        Case(
            #"{"pools":[{"id":"a b=c größe","quantity":10,"granularity":2,"free":10}]}"#,
            [pool(10, 2, 10, name: "a b=c größe")]),
        Case(
            #"{"pools":[{"id":"p","quantity":10,"granularity":2},{"id":"p","quantity":20,"granularity":2}]}"#,
            [pool(20, 2)]),
        Case(#"{"pools":[{"id":"p","quantity":10,"granularity":2,"free":10,"colour":"red"}]}"#, [pool(10, 2, 10)]),
        Case(#"{"pools":[{"id":"p","quantity":10,"granularity":2,"free":10,"units":"nodes"}]}"#, [pool(10, 2, 10)]),
        Case(#"{"pools":[1]}"#, [unnamed], badID, badPools),
        Case(#"{"pools":[null]}"#, [unnamed], badID, badPools),
        Case(#"{'pools':[{'id':'p','quantity':10,'granularity':2,'free':10}]}"#, [pool(10, 2, 10)]),
    ]

    /// What Slurm takes and bends, and what it was not asked.
    static let ours = [
        Case(
            #"{"pools":[{"id":"p","quantity":99999999999999999999,"granularity":1,"free":1}]}"#, [pool(0, 1, 0)],
            bent("quantity"), badPools),
        Case(
            #"{"pools":[{"id":"p","quantity":18446744073709551616,"granularity":4}]}"#, [pool(0, 4)],
            bent("quantity"), badPools),
        Case(
            #"{"pools":[{"id":"p","quantity":9223372036854775808}]}"#, [pool(0, 1)], bent("quantity"), badPools),
        Case(#"{"pools":[{"id":"p","quantity":9223372036854775807}]}"#, [pool(.max, 1)]),
        Case(#"{"pools":[{"id":"p","quantity":-99999999999999999999}]}"#, [pool(0, 1)], bent("quantity"), badPools),
        Case(
            #"{"pools":[{"id":"p","quantity":NaN}]}"#, [pool(0, 1)],
            "_foreach_parse_pool: Failure parsing quantity", badPools),
        Case(
            #"{"pools":[{"id":"p","quantity":1e3}]}"#, [pool(0, 1)],
            "_foreach_parse_pool: Failure parsing quantity", badPools),
        Case(
            #"{"pools":[{"id":"p","quantity":true}]}"#, [pool(0, 1)],
            "_foreach_parse_pool: Failure parsing quantity", badPools),
        Case(#"{"pools":[{"id":"p","quantity":-1,"free":3}]}"#, [pool(-1, 1, 3)]),
        Case(
            #"{"pools":[{"id":"p","quantity":5,"free":-1}]}"#, [pool(5, 1, 5)], underflow(.max, 5)),
        Case(
            #"{"pools":[{"id":"a","quantity":1},{"id":"p","granularity":"x"},{"id":"c"}]}"#,
            [pool(1, 1, name: "a"), pool(0, 1)], "_foreach_parse_pool: Failure parsing granularity", badPools),
        Case(#"{"pools":[{"id":"p","quantity":1,"quantity":2}]}"#, [pool(2, 1)]),
        Case(#"{"pools":[{"id":"p","quantity":007}]}"#, [pool(7, 1)]),
    ]

    @Test(arguments: recorded + ours)
    func aDocumentIsReadAsSlurmReadsIt(document: Case) {
        let reading = PoolsDocument.read(document.text)
        #expect(reading.pools == document.pools)
        #expect(reading.faults == document.faults)
        // A file's last newline changes nothing but what is shown.
        let again = PoolsDocument.read(document.text + "\n")
        if !document.text.hasSuffix("// c"), document.text != "5" { #expect(again.pools == document.pools) }
    }

    @Test func manyPoolsKeepTheirOrder() {
        let entries = (0..<25).map { #"{"id":"p\#($0)","quantity":10,"granularity":2,"free":10}"# }
        let reading = PoolsDocument.read(#"{"pools":[\#(entries.joined(separator: ","))]}"#)
        #expect(reading.pools.map(\.name) == (0..<25).map { "p\($0)" })
        #expect(reading.faults == [])
    }

    @Test func documentsAreBounded() {
        let entries = (0...PoolsDocument.poolsMax).map { #"{"id":"\#($0)"}"# }
        let many = PoolsDocument.read(#"{"pools":[\#(entries.joined(separator: ","))]}"#)
        #expect(many.pools.count == PoolsDocument.poolsMax)
        #expect(many.faults == ["_bb_get_pools: 100001 pools, but at most 100000 are read"])
        let long = PoolsDocument.read(String(repeating: " ", count: PoolsDocument.bytesMax + 1))
        #expect(long.faults == ["_bb_get_pools: 16777217 bytes of pools, but at most 16777216 are read"])
        let deep = PoolsDocument.read(String(repeating: "[", count: 100_000))
        #expect(deep.pools == [] && deep.faults.count == 1)
        #expect((deep.faults.first?.count ?? 0) < 2200)
        let broken = PoolsDocument.read("a\nb\r\nc\0d")
        #expect(broken.faults == ["_bb_get_pools: Problem parsing \"a\\nb\\r\\nc\0d\": Failure during parsing"])
    }
}
