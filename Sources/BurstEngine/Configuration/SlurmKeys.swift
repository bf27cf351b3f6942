/// The keys of slurm.conf(5), old ones too, in lower case: what is none of them was probably misspelt.
enum SlurmKeys {
    static let all: Set<String> = Set(
        """
        accountingstoragebackuphost accountingstorageenforce accountingstorageexternalhost accountingstoragehost
        accountingstorageparameters accountingstoragepass accountingstorageport accountingstoragetres
        accountingstoragetype accountingstorageuser accountingstoreflags acctgatherenergytype
        acctgatherfilesystemtype acctgatherinterconnecttype acctgathernodefreq acctgatherprofiletype
        allowspecresourcesusage authaltparameters authalttypes authinfo authtype backupaddr backupcontroller
        batchstarttimeout bcastexclude bcastparameters burstbufferparameters burstbuffertype cachegroups
        certgenparameters certgentype certmgrparameters certmgrtype checkpointtype clifilterplugins clustername
        communicationparameters completewait controladdr controlmachine corespecplugin cpufreqdef
        cpufreqgovernors credtype cryptotype dataparserparameters debugflags defcpupergpu defmempercpu
        defmempergpu defmempernode dependencyparameters disablerootjobs eiotimeout enforcepartlimits epilog
        epilogmsgtime epilogslurmctld extsensorsfreq extsensorstype fairsharedampeningfactor fastschedule
        federationparameters firstjobid getenvtimeout gpufreqdef grestypes groupupdateforce groupupdatetime
        hashplugin healthcheckinterval healthchecknodestate healthcheckprogram httpparsertype inactivelimit
        include interactivestepoptions jobacctgatherfrequency jobacctgatherparams jobacctgathertype jobcomphost
        jobcomploc jobcompparams jobcomppass jobcomppassscript jobcompport jobcomptype jobcompuser
        jobcontainertype jobcredentialprivatekey jobcredentialpubliccertificate jobfileappend jobrequeue
        jobsubmitplugins killonbadexit killwait launchparameters launchtype layouts licenses logtimeformat
        maildomain mailprog maxarraysize maxbatchrequeue maxdbdmsgs maxjobcount maxjobid maxmempercpu
        maxnodecount maxstepcount maxtaskspernode mcsparameters mcsplugin memlimitenforce messagetimeout
        metricsauthusers metricstype minjobage mpidefault mpiparams namespaceparameters namespacetype
        nodefeatures nodefeaturesplugins overtimelimit plugindir plugstackconfig powerparameters powerplugin
        preemptexempttime preemptmode preemptparameters preempttype prepparameters prepplugins
        prioritycalcperiod prioritydecayhalflife priorityfavorsmall priorityflags prioritymaxage
        priorityparameters prioritysitefactorparameters prioritysitefactorplugin prioritytype
        priorityusageresetperiod priorityweightage priorityweightassoc priorityweightfairshare
        priorityweightjobsize priorityweightpartition priorityweightqos priorityweighttres privatedata
        proctracktype prolog prologepilogtimeout prologflags prologslurmctld propagateprioprocess
        propagateresourcelimits propagateresourcelimitsexcept rebootprogram reconfigflags requeueexit
        requeueexithold resumefailprogram resumeprogram resumerate resumetimeout resvepilog resvoverrun
        resvprolog returntoservice routeplugin sallocdefaultcommand schedulerauth schedulerparameters
        schedulerport schedulerrootfilter schedulertimeslice schedulertype scronparameters selecttype
        selecttypeparameters slurmctldaddr slurmctlddebug slurmctldhost slurmctldlogfile slurmctldparameters
        slurmctldpidfile slurmctldplugstack slurmctldport slurmctldprimaryoffprog slurmctldprimaryonprog
        slurmctldsyslogdebug slurmctldtimeout slurmddebug slurmdlogfile slurmdparameters slurmdpidfile
        slurmdport slurmdspooldir slurmdsyslogdebug slurmdtimeout slurmduser slurmschedlogfile
        slurmschedloglevel slurmuser srunepilog srunportrange srunprolog statesavelocation stepdsyslogdebug
        suspendexcnodes suspendexcparts suspendexcstates suspendprogram suspendrate suspendtime suspendtimeout
        switchparameters switchtype taskepilog taskplugin taskpluginparam taskprolog tcptimeout tlsparameters
        tlstype tmpfs topologyparam topologyplugin trackwckey treewidth tresbillingweights unkillablestepprogram
        unkillablesteptimeout urlparsertype usepam usepss vsizefactor waittime
        """.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init))
}
