internal import BurstClient
internal import BurstDataWarp
internal import Glibc

/// What the stager leaves beside its socket for those who find it away (`SocketPlaces.stagerFolder`).
struct StageFolder {
    let path: String

    init(socket: String) { path = SocketPlaces.stagerFolder(socket: socket) }

    /// Bytes of a listing. 100,000 sessions take about 70 MB, and as much again of what is over.
    static let listingBytesMax = 256 << 20
    static let pathsBytesMax = 1 << 20

    /// What a verb says without the stager; nil: nothing can be said.
    func answer(to call: StagerCall?) -> StageClient.Answered? {
        switch call {
        // Slurm forgets what a working answer does not list, so the last one is told again.
        case .showSessions: listing("sessions", column: 1)
        case .showInstances: listing("instances", column: 2)
        case .showConfigurations: listing("configurations", column: 3)
        case .paths(let token, _, _): paths(token)
        // Slurm asks again until its own time is over. The copy may go on without the daemon.
        case .testDataIn, .testDataOut: .init(status: 0, output: Array("BUSY\n".utf8))
        default: nil
        }
    }

    /// From lines `+ID`, a session's rows of the three documents, with tabs between, and `-ID` where it is listed no
    /// more. A line without an end was not written to its end.
    /// - Parameter column: of the document's rows.
    private func listing(_ key: String, column: Int) -> StageClient.Answered? {
        guard case .bytes(let bytes) = StageFiles.read(path + "/listing", bytesMax: Self.listingBytesMax),
            let end = bytes.lastIndex(of: 10) ?? (bytes.isEmpty ? bytes.startIndex : nil)
        else { return nil }
        var rows: [UInt64: ArraySlice<UInt8>] = [:]
        for line in bytes[..<end].split(separator: 10) {
            let fields = line.split(separator: 9, omittingEmptySubsequences: false)
            guard let id = UInt64(String(decoding: fields[0].dropFirst(), as: UTF8.self)) else { return nil }
            switch (fields[0].first, fields.count) {
            case (UInt8(ascii: "+"), 4): rows[id] = fields[column]
            case (UInt8(ascii: "-"), 1): rows[id] = nil
            default: return nil
            }
        }
        var output = Array("{\"\(key)\": [".utf8)
        var isFirst = true
        for (_, row) in rows.sorted(by: { $0.key < $1.key }) where !row.isEmpty {
            if !isFirst { output += ", ".utf8 }
            isFirst = false
            output += row
        }
        return .init(status: 0, output: output + "]}\n".utf8)
    }

    private func paths(_ token: SessionToken) -> StageClient.Answered? {
        // Any other token is no name of a file.
        if case .unknown = token.kind { return nil }
        guard case .bytes(let bytes) = StageFiles.read(path + "/paths/" + token.text, bytesMax: Self.pathsBytesMax)
        else { return nil }
        let lines = bytes.split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
        return .init(status: 0, output: [], lines: lines)
    }

    // MARK: dwstat

    /// The tables that were last told, with the time at which they were.
    func dwstat(_ request: DwstatRequest) -> StageClient.Answered? {
        let file = path + "/dwstat"
        var status = stat()
        guard request.format == .table, stat(file, &status) == 0,
            case .bytes(let bytes) = StageFiles.read(file, bytesMax: Self.listingBytesMax)
        else { return nil }
        let kept: [ArraySlice<UInt8>]
        switch request.selection {
        case .most, .all: kept = [bytes[...]]
        case .tables(let tables):
            let all = Self.tables(bytes)
            kept = tables.compactMap { table in all.first { Self.isTable($0, table) } }
        }
        var output = Array(kept.joined(separator: [10]))
        if !output.isEmpty { output.append(10) }
        output += "the stager is away: this is of \(Self.time(status.st_mtim.tv_sec))\n".utf8
        return .init(status: 0, output: output)
    }

    /// Empty lines part them.
    private static func tables(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var tables: [ArraySlice<UInt8>] = []
        var start = 0
        while let end = bytes[start...].firstRange(of: [10, 10]) {
            tables.append(bytes[start...end.lowerBound])
            start = end.upperBound
        }
        tables.append(bytes[start...])
        return tables
    }

    /// By the first column's name.
    private static func isTable(_ text: ArraySlice<UInt8>, _ table: DwstatRequest.Table) -> Bool {
        let word = text.split(separator: 10).first?.split(separator: 32).first ?? []
        return word.elementsEqual(column(table).utf8)
    }

    private static func column(_ table: DwstatRequest.Table) -> String {
        switch table {
        case .pools: "pool"
        case .sessions: "sess"
        case .instances: "inst"
        case .configurations: "conf"
        case .registrations: "reg"
        case .activations: "activ"
        case .fragments: "frag"
        case .namespaces: "ns"
        case .nodes: "node"
        }
    }

    private static func time(_ seconds: Int) -> String {
        var seconds = seconds
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var text = [CChar](repeating: 0, count: 32)
        let count = strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
