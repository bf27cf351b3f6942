import BurstEngine
import BurstHooks

extension FuzzTarget {
    /// Any text that `slurm_bb_pools` may return is read: pools that can be counted with, and faults of one line.
    static let pools = FuzzTarget(
        name: "pools",
        seeds: {
            [
                #"{"pools":[{"id":"nvme","quantity":10240,"granularity":1073741824,"free":10},{"id":"b"}]}"#,
                #"{"pools":[{"id":"p","quantity":-10,"granularity":0,"free":14},{"id":"p","quantity":007},]} x"#,
                #"{'pools':[{'id':'a b=c größe','quantity':18446744073709551616}]} // c"#,
                #"{"pools":[{"id":"a","free":1.5},null,{"id":7}],"pools":[{"id":"\u0000\n\ud800"}]}"#,
                #"{"pools":[{"id":"p","quantity":NaN,"granularity":1e3,"free":-99999999999999999999}]}"#,
                "", "5", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "{\"pools\":[]}", "this is not JSON",
            ].map { Array($0.utf8) }
        },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            let reading = PoolsDocument.read(text)
            if Set(reading.pools.map(\.name)).count != reading.pools.count { broken("a name stands for one pool") }
            if reading.pools.isEmpty, reading.faults.isEmpty { broken("what holds no pools is a fault") }
            for pool in reading.pools {
                if pool.granularity == 0 { broken("granules have a size") }
                if let free = pool.free, UInt64(bitPattern: free) > UInt64(bitPattern: pool.quantity) {
                    broken("no more is free than there is")
                }
            }
            for fault in reading.faults where fault.contains(where: \.isNewline) { broken("a fault is one line") }
            if reading != PoolsDocument.read(text) { broken("a text is read the same way twice") }
            checkSite(text)
            // Numbers and names that were read can be written and read again.
            let entries = reading.pools.filter { !$0.name.utf8.contains { $0 < 32 || $0 == 34 || $0 == 92 } }.map {
                let free = $0.free.map { ",\"free\":\($0)" } ?? ""
                return "{\"id\":\"\($0.name)\",\"quantity\":\($0.quantity),\"granularity\":\($0.granularity)\(free)}"
            }
            guard !entries.isEmpty else { return }
            let again = PoolsDocument.read("{\"pools\":[\(entries.joined(separator: ","))]}")
            if again.pools.count != entries.count { broken("pools that were read can be read again") }
        })

    /// The same text as an answer of `dw_wlm_cli`.
    private static func checkSite(_ text: String) {
        let reading = SiteDocument.pools(text)
        if Set(reading.pools.map(\.name)).count != reading.pools.count { broken("a name stands for one pool") }
        if reading.pools.isEmpty, reading.faults.isEmpty { broken("what holds no pools is a fault") }
        for pool in reading.pools where pool.granularity < 1 || pool.quantity < 0 || pool.free ?? 0 > pool.quantity {
            broken("a pool can be counted with")
        }
        for fault in reading.faults where fault.contains(where: \.isNewline) { broken("a fault is one line") }
        for function in [HookFunction.showSessions, .showInstances] {
            switch SiteDocument.read(function, text, userName: { _ in nil }) {
            case .unreadable(let faults):
                if faults.isEmpty || faults.contains(where: { $0.contains(where: \.isNewline) }) {
                    broken("what cannot be read is a line")
                }
            case .sessions(let sessions):
                if sessions.contains(where: \.token.isEmpty) { broken("a session has a token") }
            case .instances: break
            }
        }
    }
}
