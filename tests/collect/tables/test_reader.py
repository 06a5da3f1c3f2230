"""Tables of positions as programs and people write them: read right, or refused by row and column."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.tables.angles import angle, hemisphere
from collect.tables.names import NameBook, normal
from collect.tables.reader import read_table
from collect.tables.rows import Row
from img2gps.errors import UsageError

LAT, LON = 39.9511, -75.1915


def rows(tmp_path: Path, content: str | bytes, name: str = "labels.csv") -> tuple[Row, ...]:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, option="--labels").rows


GOOD = {
    "plain": "filename,latitude,longitude\na.jpg,39.9511,-75.1915\n",
    "tabs and commas": "filename\tlatitude\tlongitude\na.jpg\t39,9511\t-75,1915\n",
    "quoted commas": 'filename,latitude,longitude\n"a.jpg","39,9511","-75,1915"\n',
    "excel's line": "sep=;\r\nfilename;latitude;longitude\r\na.jpg;39,9511;-75,1915\r\n",
    "titles": "Walk of June,,\n,,\nfilename,latitude,longitude\na.jpg,39.9511,-75.1915\n",
    "titles with semicolons": "Walk, of June\nfilename;latitude;longitude\na.jpg;39.9511;-75.1915\n",
    "letters": "filename,latitude,longitude\na.jpg,39.9511 N,75.1915 W\n",
    "letters before": "filename,latitude,longitude\na.jpg,N 39.9511,W75.1915°\n",
    "letters in columns": "filename,latitude,lat_ref,longitude,lon_ref\na.jpg,39.9511,N,75.1915,West\n",
    "exiftool": "SourceFile,GPSLatitude,GPSLatitudeRef,GPSLongitude,GPSLongitudeRef\n"
    "./a.jpg,39.9511,North,75.1915,West\n",
    "exiftool, signed and named": "SourceFile,GPSLatitude,GPSLatitudeRef,GPSLongitude,GPSLongitudeRef\n"
    "a.jpg,39.9511,N,-75.1915,W\n",
    "exiftool's degrees": 'SourceFile,GPSLatitude,GPSLongitude\na.jpg,"39 deg 57\' 3.96"" N","75 deg 11\' 29.40"" W"\n',
    "degrees and marks": 'file,lat,lon\na.jpg,39°57′3.96″N,"-75° 11\' 29,4"""\n',
    "degrees and colons": "file,lat,lon\na.jpg,39:57:3.96,-75:11:29.4\n",
    "degrees and minutes": "file,lat,lon\na.jpg,39° 57.066' N,75° 11.49' W\n",
    "degrees, minutes and seconds in columns": "file,lat_deg,lat_min,lat_sec,lat_ref,lon_deg,lon_min,lon_sec,lon_ref\n"
    "a.jpg,39,57,3.96,N,75,11,29.4,W\n",
    "degrees, minutes and seconds in columns, signed": "file,lat_d,lat_m,lat_s,lon_d,lon_m,lon_s\n"
    "a.jpg,39.0,57.0,3.96,-75.0,11.0,29.4\n",
    "degrees and minutes in columns": "file;latitude;lat_min;NS;longitude;lon_min;EW\na.jpg;39;57,066;N;75;11,49;W\n",
    "empty minutes in columns": "file,lat_deg,lat_min,lat_sec,NS,lon_deg,lon_min,lon_sec,EW\n"
    "a.jpg,39.9511,,,N,75.1915,,,W\n",
    "a box beside the place": "file,lat,lon,lat_min,lat_max,lon_min,lon_max\na.jpg,39.9511,-75.1915,39,40,-76,-75\n",
    "german": "Dateiname;Breitengrad;Längengrad\na.jpg;39,9511;-75,1915\n",
    "spanish": "archivo,latitud,longitud\na.jpg,39.9511,-75.1915\n",
    "darwin core": "file,decimalLatitude,decimalLongitude\na.jpg,39.9511,-75.1915\n",
    "spanish words": "file,lat,lat_ref,lon,lon_ref\na.jpg,39.9511,Norte,75.1915,Oeste\n",
    "french words": "file,lat,lat_ref,lon,lon_ref\na.jpg,39.9511,Nord,75.1915,Ouest\n",
    "units": " File Name , Latitude (deg) , Longitude [°] \na.jpg, 39.9511 , -75.1915\n",
    "kobo": "photo;_location_latitude;_location_longitude;_location_precision\na.jpg;39.9511;-75.1915;4.2\n",
    "kobo, grouped": "walk/_pos_latitude,walk/_pos_longitude,image\n39.9511,-75.1915,a.jpg\n",
    "qgis": "photo,filename,directory,longitude,latitude\n/home/ada/ph/a.jpg,a,/home/ada/ph,-75.1915,39.9511\n",
    "utm with a zone": "name,easting,northing,zone\na.jpg,483641.96,4422347.37,18T\n",
    "utm with its epsg": "name,x,y,epsg\na.jpg,483641.96,4422347.37,32618\n",
    "utm with thousands": 'name,easting,northing,epsg\na.jpg,"483,641.96","4,422,347.37",32618\n',
    "geo.txt": "EPSG:4326\na.jpg -75.1915 39.9511 12.0\n",
    "geo.txt in utm": "WGS84 UTM 18N\na.jpg 483641.96 4422347.37\n",
    "geo.txt by proj": "+proj=utm +zone=18 +datum=WGS84 +units=m +no_defs\na.jpg 483641.96 4422347.37 1\n",
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_is_read_right(tmp_path: Path, kind: str, encoding: str) -> None:
    (row,) = rows(tmp_path, GOOD[kind].encode(encoding))
    assert row.complaint == ""
    assert (row.lat, row.lon) == (pytest.approx(LAT, abs=2e-5), pytest.approx(LON, abs=2e-5))
    assert normal(row.names[0]).endswith("a.jpg")


BAD_ROWS = {
    "two hemispheres": ("f,lat,lat_ref,lon\n", "a.jpg,39.9 N,S,8\n", "two hemispheres"),
    "a minus and an E": ("f,lat,lon\n", "a.jpg,39.9,-75 E\n", "column lon"),
    "O": ("f,lat,lon\n", "a.jpg,39.9,75 O\n", "O is east in German"),
    "an axis's letter at the other": ("f,lat,lon\n", "a.jpg,75.19 W,39.95 N\n", "column lat"),
    "no letter in its column": ("f,lat,lon,lon_ref\n", "a.jpg,39.9,75.1,\n", "column lon_ref is empty"),
    "letters in a column without a meaning": ("f,lat,lon,side\n", "a.jpg,39.9,75.1,W\n", "column side says W"),
    "sixty minutes": ("f,lat,lon\n", "a.jpg,39 60 00,8\n", "60 or more"),
    "minutes of a receiver": ("f,lat,lon\n", "a.jpg,3957.066,8\n", "column lat"),
    "a grid without its name": ("f,x,y\n", "a.jpg,483640.9,4422303.2\n", "column y"),
    "a zone without a half": ("f,easting,northing,zone\n", "a.jpg,483640,4422303,18\n", "north or south"),
    "a band that may be south": ("f,easting,northing,zone\n", "a.jpg,483640,4422303,18S\n", "may be south"),
    "a grid's name that is none": ("f,x,y,epsg\n", "a.jpg,483640,4422303,999999\n", "no known system"),
    "unquoted decimal commas": ("f,lat,lon\n", "a.jpg,39,9511,-75,1915\n", "5 cells, but the header has 3"),
    "another datum": ("f,lat,lon,GPSMapDatum\n", "a.jpg,39.9,8,TOKYO\n", "column GPSMapDatum"),
    "unsigned degrees and minutes": ("f,lat,lon\n", "a.jpg,39 57 3.96,75 11 29.4\n", "lacks its hemisphere"),
    "one letter of two": ("f,lat,lon\n", "a.jpg,39 57 3.96 N,75 11 29.4\n", "column lon"),
    "exiftool's unsigned numbers": ("f,EXIF:GPSLatitude,EXIF:GPSLongitude\n", "a.jpg,39.9,75.1\n", "lacks its"),
    "two positions": ("f,lat,lon,gps_lat,gps_lon\n", "a.jpg,39.9,8,39.8,8\n", "lat and gps_lat name different"),
    "a direction that may be a hemisphere": ("f,lat,lon,Direction\n", "a.jpg,39.9,8,W\n", "column Direction says W"),
    "half a position": ("f,lat,lon\n", "a.jpg,39.9,\n", "column lon is empty"),
    "words": ("f,lat,lon\n", "a.jpg,north gate,8\n", "column lat holds 'north gate'"),
}


@pytest.mark.parametrize(("other", "sign"), [("W", 1), ("E", -1)])
def test_the_other_letters_of_a_column_tell_what_its_o_means(tmp_path: Path, other: str, sign: int) -> None:
    head = "file,lat,lat_ref,lon,lon_ref"
    read = rows(tmp_path, f"{head}\na.jpg,39.9511,N,75.1915,O\nb.jpg,39.9511,N,75.1915,{other}\n")
    assert [row.lon for row in read] == [sign * 75.1915, -sign * 75.1915]
    alone, same = rows(tmp_path, f"{head}\na.jpg,39.9511,N,75.1915,O\nb.jpg,39.9511,N,75.1916,O\n")
    assert alone.lon is None is same.lon
    assert "O is east in German" in alone.complaint


@pytest.mark.parametrize("cell", ["NA", "#N/A", "nan", "NULL", "-", ""])
def test_a_cell_that_says_none_leaves_the_position_to_others(tmp_path: Path, cell: str) -> None:
    (row,) = rows(tmp_path, f"file,lat,lon\na.jpg,{cell},{cell}\n")
    assert (row.lat, row.lon, row.complaint) == (None, None, "")


def test_minutes_of_a_column_need_a_hemisphere_and_sixty_are_refused(tmp_path: Path) -> None:
    bare, sixty = rows(
        tmp_path, "file,lat_deg,lat_min,lat_ref,lon_deg,lon_min,lon_ref\na.jpg,39,57,,75,11,\nb.jpg,39,60,N,75,11,W\n"
    )
    assert bare.lat is None is sixty.lat
    assert bare.complaint
    assert sixty.complaint


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_row_that_can_mean_two_places_is_refused_and_leaves_the_others_alone(tmp_path: Path, kind: str) -> None:
    header, bad, complaint = BAD_ROWS[kind]
    header = header.replace("f,", "file,", 1)
    cells = dict(zip(header.strip().split(","), bad.strip().split(","), strict=False))
    fine = ",".join("b.jpg" if name == "file" else "50" if name == "lat" else "" for name in cells)
    found = rows(tmp_path, f"{header}{bad}{fine}\n")
    assert found[0].row == 2
    assert complaint in found[0].complaint
    assert (found[0].lon, found[0].lat) == (None, None)
    assert "TOKYO" not in found[1].complaint


BAD_FILES = {
    "no header": ("a.jpg,39.9,-75.1\n", "row 1 holds values"),
    "one column": ('file,gps\na.jpg,"39.9511, -75.1915"\n', "row 2, column gps"),
    "no name": ("lat,lon\n39.9,8\n", "no column for the photo"),
    "no longitude": ("file,lat\na.jpg,39.9\n", "no column lon"),
    "two positions": ("file,start_lat,start_lon,end_lat,end_lon\na.jpg,1,2,3,4\n", "several positions"),
    "two columns of one name": ("file,lat,lat,lon\na.jpg,1,2,3\n", "two columns lat"),
    "a workbook": ("PK\x03\x04\x14", "save it as CSV"),
    "no row": ("file,lat,lon\n", "no row below its header"),
    "a geo.txt without a half": ("WGS84 UTM 18\na.jpg 1 2\n", "without N or S"),
    "a geo.txt of nowhere": ("EPSG:999999\na.jpg 1 2\n", "row 1"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_table_that_nothing_explains_is_refused(tmp_path: Path, kind: str) -> None:
    content, complaint = BAD_FILES[kind]
    with pytest.raises(UsageError, match=complaint):
        rows(tmp_path, content)


def test_names_of_old_encodings_are_read_each_way(tmp_path: Path) -> None:
    for encoding in ("cp1252", "mac_roman", "cp850"):
        (row,) = rows(tmp_path, "file;lat;lon\nKäfer 3.jpg;39.9511;-75.1915\n".encode(encoding))
        assert "Käfer 3.jpg" in row.names


def test_names_with_spaces_in_a_geo_txt(tmp_path: Path) -> None:
    found = rows(tmp_path, "EPSG:4326\nIMG 3.jpg -75.1915 39.9511\nIMG 3 -75.1915 39.9511\n", "geo.txt")
    assert (found[0].names, found[0].lat) == (("IMG 3.jpg",), LAT)
    assert found[1].complaint


@given(st.floats(-90, 90), st.sampled_from(["point", "comma", "dms", "letter", "dm"]))
def test_an_angle_survives_every_spelling(value: float, spelling: str) -> None:
    size, letter = abs(value), "S" if value < 0 else "N"
    minutes = (size % 1) * 60
    seconds = (minutes % 1) * 60
    text = {
        "point": f"{value:.9f}",
        "comma": f"{value:.9f}".replace(".", ","),
        "letter": f"{size:.9f}° {letter}",
        "dm": f"{int(size)}° {min(minutes, 59.9999999):.7f}' {letter}",
        "dms": f"{int(size)}° {int(minutes)}' {min(seconds, 59.99999):.5f}\" {letter}",
    }[spelling]
    assert angle(text, "lat") == pytest.approx(value, abs=1e-7)


@given(st.text(max_size=12))
def test_an_angle_is_a_number_or_refused(text: str) -> None:
    try:
        value = angle(text, "lon")
    except ValueError:
        return
    assert abs(value) < 1000


def test_a_hemisphere_is_of_its_axis() -> None:
    assert [hemisphere(word, axis) for word, axis in (("N", "lat"), ("west", "lon"))] == ["n", "w"]  # type: ignore[arg-type]
    for word in ("W", "up", "O"):
        with pytest.raises(ValueError, match="hemisphere"):
            hemisphere(word, "lat")


NAMES = {
    "the end of an absolute path": ("/home/ada/walk/ph/a.jpg", "a.jpg", "/data/ph/a.jpg"),
    "a Windows path from elsewhere": ("C:\\Users\\me\\walk\\a.jpg", "a.jpg", "/data/ph/a.jpg"),
    "the folder above": ("ph/a.jpg", "a.jpg", "/data/ph/a.jpg"),
    "a dot": ("./sub/../a.jpg", "a.jpg", "/data/ph/a.jpg"),
    "two dots": ("../ph/a.jpg", "a.jpg", "/data/ph/a.jpg"),
    "no suffix": ("a", "sub/a.jpg", "/data/ph/sub/a.jpg"),
    "another case": ("A.JPG", "a.jpg", "/data/ph/a.jpg"),
    "decomposed letters": ("ka\u0308fer.jpg", "käfer.jpg", "/data/ph/käfer.jpg"),
    "an address": ("file:///home/ada/my%20a.jpg", "my a.jpg", "/data/ph/my a.jpg"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_means_its_file(kind: str) -> None:
    name, relative, path = NAMES[kind]
    absolute = [normal(name)] if name[0] in "/C" or name.startswith("file:") else []
    assert NameBook([normal(name), "other.jpg"], absolute=absolute).key(relative, path) == normal(name)


def test_a_name_that_may_mean_another_folders_file_means_none() -> None:
    assert NameBook(["walk1/a.jpg"]).key("a.jpg", "/data/walk2/a.jpg") is None
    both = NameBook(["h/walk1/a.jpg", "h/walk2/a.jpg"], absolute=["h/walk1/a.jpg", "h/walk2/a.jpg"])
    assert both.key("a.jpg", "/data/walk2/a.jpg") == "h/walk2/a.jpg"
    assert both.key("a.jpg", "/data/elsewhere/a.jpg") is None
    assert NameBook(["A", "a"]).key("a.jpg", "/x/a.jpg") == "a"
    assert NameBook(["A", "á"]).key("b.jpg", "/x/b.jpg") is None
