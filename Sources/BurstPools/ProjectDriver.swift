internal import BurstModel
import CSys
import Glibc

/// A directory in a project of its own, on XFS or ext4 with project quotas. `data` and `stage` share the project;
/// quarantine has none, so that moving there is allowed (staging.md §4.3, rank 1).
///
/// Linux lets the owner of a file put it into another project. That evades the limit; nothing short of a file system of
/// its own (`loop`) keeps a user from it.
struct ProjectDriver: CapacityDriver {
    /// Projects of buffers are numbered from here on, far from what administrators number by hand.
    static let projectFirst: UInt32 = 0x4242_0000
    static let projectLast: UInt32 = 0x4242_ffff
    /// For the folders of the layout.
    static let inodesOfLayout: UInt64 = 8

    let kind: PoolDriver
    let granularity: UInt64

    func allocate(_ record: inout BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        let path = place.path(of: record.name)
        guard let project = record.project else {
            throw PoolFault(.poolFull, path, "all projects are in use", "the pool holds 65536 buffers at most")
        }
        place.step("set the limit")
        try limit(record, project, place)
        place.step("make the folder")
        let folder = try Files.makeFolder(place.buffers, record.name.description, mode: 0o711, "\(place.path)/buffers")
        place.step("assign the project")
        guard bb_project_assign(folder.number, project) == 0 else { throw .system(path, "be put into its project") }
    }

    private func limit(_ record: BufferRecord, _ project: UInt32, _ place: PoolPlace) throws(PoolFault) {
        let inodes = record.inodes + Self.inodesOfLayout
        guard bb_project_limit(place.root.number, project, record.granules * granularity, inodes) == 0 else {
            throw .system("\(place.path): project \(project)", "be limited")
        }
    }

    func presence(_ record: BufferRecord, _ place: PoolPlace) -> Presence {
        guard let folder = try? place.buffer(record.name) else { return .absent }
        var project: UInt32 = 0
        return bb_project_of(folder.number, &project) == 0 && project == record.project ? .here : .absent
    }

    func usage(_ record: BufferRecord, _ place: PoolPlace) throws(PoolFault) -> BufferUsage {
        var usage = bb_project_usage()
        guard let project = record.project, bb_project_usage(place.root.number, project, &usage) == 0 else {
            throw .system(place.path(of: record.name), "be asked for its usage")
        }
        return BufferUsage(
            bytes: usage.bytes, bytesMax: usage.bytes_max, inodes: usage.inodes, inodesMax: usage.inodes_max)
    }

    func resize(_ record: BufferRecord, from: BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        guard let project = record.project else { return }
        place.step("set the limit")
        try limit(record, project, place)
    }

    func release(_ record: BufferRecord, entry: String, _ place: PoolPlace) throws(PoolFault) {
        place.step("move the folder")
        try moveFolder(record, entry: entry, place)
    }

    func remove(_ record: BufferRecord?, entry: String, _ place: PoolPlace) throws(PoolFault) -> Removal {
        place.step("remove the tree")
        let removal = try removeNames(entry: entry, place)
        guard removal == .removed, let project = record?.project else { return removal }
        place.step("forget the project")
        guard bb_project_limit(place.root.number, project, 0, 0) == 0 else {
            throw .system("\(place.path): project \(project)", "be forgotten")
        }
        return .removed
    }

    func addStrays(_ records: [BufferRecord], _ inventory: inout PoolInventory, _ place: PoolPlace) {
        let ours = Set(records.compactMap(\.project))
        var next = Self.projectFirst
        var usage = bb_project_usage()
        while next <= Self.projectLast, bb_project_next(place.root.number, next, &usage) == 0 {
            let project = usage.project
            if project > Self.projectLast || project < next { return }
            if !ours.contains(project), usage.bytes_max > 0 || usage.bytes > 0 {
                inventory.projects.append(PoolInventory.Stray(name: String(project), bytes: usage.bytes))
            }
            next = project + 1
        }
    }

    func repair(_ leak: Leak, _ place: PoolPlace) throws(PoolFault) {
        guard leak.kind == .strayProject, let project = UInt32(leak.name),
            (Self.projectFirst...Self.projectLast).contains(project)
        else { return }
        guard bb_project_limit(place.root.number, project, 0, 0) == 0 else {
            throw .system("\(place.path): project \(project)", "be forgotten")
        }
    }
}
