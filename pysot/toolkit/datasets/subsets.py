"""Facts about known sets that are not in their files.

They are the sequences of a set, how many there are, the folders that they are in, and the first frame of sequences that
are parts of a video (for OTB, see `utils.otb`).
"""

# First images of the sequences of a video: bird1_1, bird1_2, bird1_3.
_UAV123_FIRST_IMAGES = {
    "bird1": (1, 775, 1573),
    "car1": (1, 751, 1627),
    "car6": (1, 487, 1807, 2953, 3925),
    "car8": (1, 1357),
    "car16": (1, 415),
    "group1": (1, 1333, 2515, 3925),
    "group2": (1, 907, 1771),
    "group3": (1, 1567, 2827, 4369),
    "person2": (1, 1189),
    "person4": (1, 1501),
    "person5": (1, 877),
    "person7": (1, 1249),
    "person8": (1, 1075),
    "person12": (1, 601),
    "person14": (1, 847, 1813),
    "person17": (1, 1501),
    "person19": (1, 1243, 2791),
    "truck4": (1, 577),
    "uav1": (1, 1555, 2473),
}
# First image of each sequence in its video, at 30 Hz
# (UAV123; Mueller et al., A benchmark and simulator for UAV tracking, 2016).
UAV123_STARTS = {
    f"{video}_{number}": start
    for video, starts in _UAV123_FIRST_IMAGES.items()
    for number, start in enumerate(starts, start=1)
}

# OTB50 (the harder half of OTB100) and CVPR13 (the first benchmark, 51 targets); Wu, Lim, Yang, 2013 and 2015.
_OTB50 = """
    Basketball Biker Bird1 BlurBody BlurCar2 BlurFace BlurOwl Bolt Box Car1 Car4 CarDark CarScale ClifBar Couple Crowds
    David Deer Diving DragonBaby Dudek Football Freeman4 Girl Human3 Human4-2 Human6 Human9 Ironman Jump Jumping Liquor
    Matrix MotorRolling Panda RedTeam Shaking Singer2 Skating1 Skating2-1 Skating2-2 Skiing Soccer Surfer Sylvester
    Tiger2 Trellis Walking Walking2 Woman
"""
_CVPR13 = """
    Basketball Bolt Boy Car4 CarDark CarScale Coke Couple Crossing David David2 David3 Deer Dog1 Doll Dudek FaceOcc1
    FaceOcc2 Fish FleetFace Football Football1 Freeman1 Freeman3 Freeman4 Girl Ironman Jogging-1 Jogging-2 Jumping
    Lemming Liquor Matrix Mhyang MotorRolling MountainBike Shaking Singer1 Singer2 Skating1 Skiing Soccer Subway Suv
    Sylvester Tiger1 Tiger2 Trellis Walking Walking2 Woman
"""
SUBSETS = {"otb50": tuple(_OTB50.split()), "cvpr13": tuple(_CVPR13.split()), "otb2013": tuple(_CVPR13.split())}
# Sequences in the folders of a set that do not belong to it: OTB100 uses the second target of Human4.
EXCLUDED = dict.fromkeys(("otb100", "otb2015"), ("human4-1",))
# Number of sequences of each set, where papers and lists agree.
SEQUENCE_COUNTS = {
    "otb100": 100,
    "otb2015": 100,
    "uav123": 123,
    "uav123_10fps": 123,
    "uav20l": 20,
    "nfs30": 100,
    "nfs240": 100,
    "lasot": 280,
    "lasot_ext": 150,
    "got-10k": 180,
    "got-10k-val": 180,
    "got-10k-test": 180,
    "trackingnet": 511,
    "vot2013": 16,
    "vot2014": 25,
    "vot2015": 60,
    "vot2016": 60,
    "vot2017": 60,
    "vot2018": 60,
    "vot2019": 60,
    "vot2020": 60,
    "vot2021": 60,
    "vot2018-lt": 35,
    "vot2019-lt": 50,
    "davis2016": 20,
    "davis2016-train": 30,
    "davis2016-trainval": 50,
    "davis2017": 30,
    "davis2017-train": 60,
    "davis2017-test-dev": 30,
    "davis2017-test-challenge": 30,
    "youtube-vos-2018": 474,
    "youtube-vos-2019": 507,
}
# Subfolders with the sequences of a set; "" is the set's own folder.
SPLIT_FOLDERS = {"got-10k": ("val", ""), "got-10k-val": ("val", ""), "got-10k-test": ("test", "")}
# Folder of the larger set that contains the sequences of a set.
SUBSET_OF = {
    "otb50": "OTB100",
    "cvpr13": "OTB100",
    "otb2013": "OTB100",
    "otb2015": "OTB100",
    "uav20l": "UAV123",
    "got-10k-val": "GOT-10k",
    "got-10k-test": "GOT-10k",
}
