"""Names of medicines: common ones by name, the rest by the stems of international nonproprietary names.

Source of the stems: WHO, The use of stems in the selection of INN (2018), shortened to those heard in primary care.
"""

from typing import Final

from pipeline.notes.english.vocabulary import word_list, word_set

DRUGS: Final = word_set(
    """
    acetaminophen paracetamol tylenol panadol aspirin ibuprofen advil motrin nurofen aleve naproxen diclofenac
    voltaren meloxicam mobic celecoxib celebrex indomethacin ketorolac toradol tramadol ultram codeine morphine
    oxycodone percocet oxycontin hydrocodone vicodin norco fentanyl hydromorphone dilaudid gabapentin neurontin
    pregabalin lyrica cyclobenzaprine flexeril methocarbamol baclofen tizanidine lidocaine excedrin lisinopril
    enalapril ramipril losartan cozaar valsartan diovan irbesartan candesartan olmesartan benicar telmisartan
    amlodipine norvasc nifedipine diltiazem verapamil metoprolol toprol lopressor atenolol bisoprolol carvedilol
    coreg propranolol nebivolol bystolic hydrochlorothiazide chlorthalidone furosemide lasix bumetanide bumex
    torsemide spironolactone aldactone clonidine hydralazine nitroglycerin isosorbide ranolazine amiodarone
    digoxin flecainide sacubitril entresto ivabradine atorvastatin lipitor simvastatin zocor rosuvastatin crestor
    pravastatin ezetimibe zetia fenofibrate warfarin coumadin apixaban eliquis rivaroxaban xarelto dabigatran
    pradaxa clopidogrel plavix ticagrelor brilinta prasugrel heparin enoxaparin lovenox metformin glucophage
    glipizide glyburide glimepiride sitagliptin januvia linagliptin empagliflozin jardiance dapagliflozin farxiga
    canagliflozin invokana semaglutide ozempic wegovy rybelsus liraglutide victoza dulaglutide trulicity
    tirzepatide mounjaro pioglitazone insulin lantus humalog novolog levemir tresiba basaglar levothyroxine
    synthroid methimazole prednisone prednisolone methylprednisolone medrol dexamethasone hydrocortisone cortisone
    budesonide sertraline zoloft fluoxetine prozac escitalopram lexapro citalopram celexa paroxetine paxil
    venlafaxine effexor duloxetine cymbalta bupropion wellbutrin mirtazapine trazodone amitriptyline nortriptyline
    buspirone alprazolam xanax lorazepam ativan clonazepam klonopin diazepam valium zolpidem ambien melatonin
    lithium quetiapine seroquel aripiprazole abilify olanzapine risperidone haloperidol lamotrigine lamictal
    levetiracetam keppra topiramate topamax valproate depakote carbamazepine phenytoin methylphenidate ritalin
    concerta adderall vyvanse donepezil memantine sumatriptan imitrex rizatriptan albuterol salbutamol ventolin
    proair fluticasone flovent flonase advair symbicort spiriva tiotropium montelukast singulair ipratropium
    trelegy breo mometasone beclomethasone loratadine claritin cetirizine zyrtec fexofenadine allegra
    diphenhydramine benadryl pseudoephedrine sudafed guaifenesin mucinex dextromethorphan robitussin hydroxyzine
    omeprazole prilosec pantoprazole protonix esomeprazole nexium lansoprazole famotidine pepcid ranitidine zantac
    sucralfate tums miralax colace docusate senna loperamide imodium ondansetron zofran metoclopramide bismuth
    amoxicillin augmentin penicillin ampicillin azithromycin zithromax clarithromycin erythromycin doxycycline
    minocycline tetracycline cephalexin keflex cefuroxime ceftriaxone cefdinir ciprofloxacin cipro levofloxacin
    levaquin moxifloxacin bactrim trimethoprim sulfamethoxazole nitrofurantoin macrobid clindamycin metronidazole
    flagyl vancomycin fluconazole diflucan terbinafine nystatin acyclovir valacyclovir valtrex oseltamivir tamiflu
    paxlovid ivermectin methotrexate hydroxychloroquine plaquenil sulfasalazine adalimumab humira etanercept
    enbrel infliximab remicade rituximab tofacitinib xeljanz allopurinol colchicine febuxostat alendronate fosamax
    denosumab prolia tamsulosin flomax finasteride sildenafil viagra tadalafil cialis oxybutynin estradiol
    estrogen progesterone testosterone tamoxifen letrozole anastrozole isotretinoin accutane tretinoin clobetasol
    triamcinolone kenalog ferrous folate b12 methadone buprenorphine suboxone naloxone narcan oxaprozin daypro
    orphenadrine norflex carisoprodol metaxalone skelaxin nabumetone relafen etodolac piroxicam feldene micardis avapro
    atacand altace vasotec zestril prinivil accupril tenormin inderal cardizem hyzaar lotensin lotrel tekturna
    zestoretic dyazide maxzide effient repatha praluent vytorin tricor welchol actos amaryl glucotrol bydureon byetta
    toujeo cytomel liothyronine tapazole remeron pristiq luvox viibryd trintellix buspar restoril lunesta geodon
    latuda zyprexa risperdal haldol clozaril clozapine vraylar trileptal vimpat dilantin tegretol procrit boniva
    actonel evista forteo detrol tolterodine vesicare solifenacin myrbetriq mirabegron proscar avodart dutasteride
    levitra premarin provera depo-provera mirena nuvaring clomid stelara cosentyx orencia otezla xolair dupixent
    pulmicort qvar dulera combivent atrovent duoneb nasonex nasacort astelin mylanta maalox aciphex reglan bentyl
    dicyclomine lomotil carafate entyvio nitroglycerine bisacodyl dulcolax metamucil psyllium simethicone
    """
)
INN_STEMS: Final = tuple(
    word_list(
        """
        pril sartan statin olol dipine conazole prazole mycin micin cillin floxacin cycline formin gliptin gliflozin
        glutide zepam zolam oxetine triptan tidine sone solone lukast parin xaban gatran dronate triptyline pentin
        semide thiazide setron codone profen coxib mab tinib vir
        """
    )
)
SHORTEST_BY_STEM = 8  # letters; shorter words end so by chance
NO_DRUGS: Final = frozenset({"comparison", "reservoir"})


def is_drug(word: str) -> bool:
    """Whether a word in lower case names a medicine."""
    if word in DRUGS:
        return True
    return len(word) >= SHORTEST_BY_STEM and word.endswith(INN_STEMS) and word not in NO_DRUGS and word.isalpha()
